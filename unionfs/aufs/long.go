package aufs

import (
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// The kinds of requests that loop has to tell apart, from <linux/fuse.h>.
const (
	opOpen  = 14
	opRead  = 15
	opWrite = 16
)

// briefOps are the requests that read or change a name or attributes, a few
// system calls on the branches each: FUSE_LOOKUP, FORGET, GETATTR, READLINK,
// SYMLINK, MKNOD, MKDIR, UNLINK, STATFS, RELEASE, GETXATTR, LISTXATTR, FLUSH,
// OPENDIR, RELEASEDIR, FSYNCDIR, ACCESS, CREATE, INTERRUPT, BATCH_FORGET, LSEEK.
// What is not here may copy a file up, wait for a disk or go through a whole
// folder.
var briefOps = map[uint32]bool{1: true, 2: true, 3: true, 5: true, 6: true, 8: true, 9: true, 10: true, 17: true, 18: true,
	22: true, 23: true, 25: true, 27: true, 29: true, 30: true, 34: true, 35: true, 36: true, 42: true, 46: true}

// briefData is up to how many bytes a read, a write or a copy-up is taken to be
// brief.
const briefData = 64 << 10

// takesLong tells whether answering a request may keep others waiting too long.
func (fs *FS) takesLong(request []byte) bool {
	if len(request) < int(unsafe.Sizeof(fuse.InHeader{})) {
		return false // it gets an error
	}
	head := unsafe.Pointer(&request[0])
	switch op := (*fuse.InHeader)(head).Opcode; op {
	case opOpen:
		n := fs.node((*fuse.InHeader)(head).NodeId)
		cut := (*fuse.OpenIn)(head).Flags&unix.O_TRUNC != 0
		return cut || n == nil || fs.copiesOnOpen(n)
	case opRead:
		return (*fuse.ReadIn)(head).Size > briefData
	case opWrite:
		in := (*fuse.WriteIn)(head)
		h := fs.handle(in.Fh)
		return in.Size > briefData || h == nil || !fs.settled(h.n) && h.size() > briefData
	default:
		return !briefOps[op]
	}
}

// size is how much a copy-up of the open file would copy.
func (h *handle) size() int64 {
	var st unix.Stat_t
	unix.Fstat(int(h.fd.Load()), &st)
	return st.Size
}
