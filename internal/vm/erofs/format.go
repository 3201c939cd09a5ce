package erofs

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Sizes and numbers of fs/erofs/erofs_fs.h.
const (
	magic       = 0xE0F5E1E2
	superOffset = 1024
	superSize   = 128
	inodeSize   = 32 // compact; also the unit of a nid
	entrySize   = 12
	blockBits   = 12 // the page size of the kernels that read this
	blockSize   = 1 << blockBits

	layoutPlain  = 0
	layoutInline = 2

	maxName   = 255
	maxInline = blockSize - inodeSize
)

// fileTypes are the codes in directory entries (include/linux/fs_types.h).
var fileTypes = map[uint16]byte{unix.S_IFREG: 1, unix.S_IFDIR: 2, unix.S_IFLNK: 7}

// superblock renders what the kernel reads at mount. No feature bit is set: nothing
// here is newer than the first version of the format.
func superblock(rootNID uint64, inodes int, blocks uint32, stamp int64) []byte {
	b := make([]byte, superSize)
	le := binary.LittleEndian
	le.PutUint32(b[0x00:], magic)
	b[0x0C] = blockBits
	le.PutUint16(b[0x0E:], uint16(rootNID))
	le.PutUint64(b[0x10:], uint64(inodes))
	le.PutUint64(b[0x18:], uint64(stamp)) // the time of every file
	le.PutUint32(b[0x24:], blocks)
	return b
}

// inode renders a compact inode; number is st_ino.
func (n *node) inode(number uint32) []byte {
	b := make([]byte, inodeSize)
	le := binary.LittleEndian
	le.PutUint16(b[0x00:], n.layout()<<1) // bit 0: 0 is compact
	le.PutUint16(b[0x04:], n.mode)
	le.PutUint16(b[0x06:], n.links())
	le.PutUint32(b[0x08:], uint32(len(n.content)))
	le.PutUint32(b[0x10:], n.block)
	le.PutUint32(b[0x14:], number)
	return b
}

// layout puts a link's target behind its inode, where the kernel finds it without
// reading another block, and all else into blocks of its own.
func (n *node) layout() uint16 {
	if n.kind() == unix.S_IFLNK {
		return layoutInline
	}
	return layoutPlain
}
