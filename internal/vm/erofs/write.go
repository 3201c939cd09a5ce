package erofs

import (
	"fmt"
	"io"
	"math"
	"time"
)

// Write writes the image; its size is a multiple of 4096 bytes. Stamp is the time of
// every file in it.
func (m *Image) Write(w io.Writer, stamp time.Time) error {
	blocks, err := m.layOut()
	if err != nil {
		return err
	}
	out := &output{w: w}
	out.pad(superOffset)
	out.write(superblock(m.root.nid, len(m.order), blocks, stamp.Unix()))
	for i, n := range m.order {
		out.pad(int64(n.nid) * inodeSize)
		out.write(n.inode(uint32(i + 1)))
		if n.layout() == layoutInline {
			out.write(n.content)
		}
	}
	for _, n := range m.order {
		if n.layout() == layoutPlain && len(n.content) > 0 {
			out.pad(int64(n.block) * blockSize)
			out.write(n.content)
		}
	}
	out.pad(int64(blocks) * blockSize)
	if out.err != nil {
		return fmt.Errorf("write erofs image: %w", out.err)
	}
	return nil
}

// layOut gives every inode and every content its place and returns the number of
// blocks. Folders are rendered in between: they name inodes, and their sizes are
// needed to place what follows.
func (m *Image) layOut() (blocks uint32, err error) {
	at := int64(superOffset + superSize)
	for _, n := range m.order {
		at = (at + inodeSize - 1) / inodeSize * inodeSize
		size := int64(inodeSize)
		if n.layout() == layoutInline {
			size += int64(len(n.content))
		}
		if at/blockSize != (at+size-1)/blockSize { // inline content may not cross
			at = (at/blockSize + 1) * blockSize
		}
		n.nid = uint64(at / inodeSize)
		at += size
	}
	block := blocksOf(at)
	for _, n := range m.order {
		if n.children != nil {
			n.content = renderDir(dirBlocks(n.entries()))
		}
		if int64(len(n.content)) > math.MaxUint32 {
			return 0, fmt.Errorf("erofs image: a file of %d bytes: a compact inode holds less than 4 GiB", len(n.content))
		}
		if n.layout() == layoutPlain {
			n.block = uint32(block)
			block += blocksOf(int64(len(n.content)))
		}
	}
	if block > math.MaxUint32 {
		return 0, fmt.Errorf("erofs image: %d blocks: at most %d", block, uint32(math.MaxUint32))
	}
	return uint32(block), nil
}

func blocksOf(bytes int64) int64 { return (bytes + blockSize - 1) / blockSize }

// output remembers how much was written and the first error.
type output struct {
	w    io.Writer
	done int64
	err  error
}

func (o *output) write(p []byte) {
	if o.err == nil {
		var n int
		n, o.err = o.w.Write(p)
		o.done += int64(n)
	}
}

// pad writes zeros up to an offset; it is less than a block away.
func (o *output) pad(to int64) {
	o.write(make([]byte, max(0, to-o.done)))
}
