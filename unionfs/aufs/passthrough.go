package aufs

import (
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// With passthrough (Linux 6.9, CAP_SYS_ADMIN) the kernel reads and writes the
// branch's file itself, at the speed of the branch. It is for files that stay
// where they are: those in a rw branch. A file in a read-only branch may be
// copied up while it is open, and the kernel cannot change over then.
//
// The kernel's rule: an inode is used either through one backing file or
// through the page cache, never both at a time.

// backing is the kernel's handle for a node's file in its branch.
type backing struct {
	mu     sync.Mutex
	id     int32
	passed int // open files that bypass us
	cached int // open files that do not
}

// startPassthrough decides how an open file is used.
func (fs *FS) startPassthrough(h *handle, out *fuse.OpenOut) {
	b := &h.n.backing
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.passed == 0 && (b.cached > 0 || !fs.mayPass(h) || !fs.register(h)) {
		b.cached++
		return
	}
	b.passed++
	h.passes = true
	out.OpenFlags |= fuse.FOPEN_PASSTHROUGH
	out.BackingID = b.id
}

// mayPass excludes files with set-id bits: writes that bypass us would not
// clear them.
func (fs *FS) mayPass(h *handle) bool {
	if !fs.kernel.passthrough() || !fs.settled(h.n) {
		return false
	}
	var st unix.Stat_t
	err := unix.Fstat(int(h.fd.Load()), &st)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o6000 == 0
}

func (fs *FS) register(h *handle) (ok bool) {
	h.n.backing.id, ok = fs.kernel.register(int(h.fd.Load()))
	return ok
}

func (fs *FS) stopPassthrough(h *handle) {
	b := &h.n.backing
	b.mu.Lock()
	defer b.mu.Unlock()
	if !h.passes {
		b.cached--
		return
	}
	if b.passed--; b.passed == 0 {
		fs.kernel.unregister(b.id)
	}
}

// passesWrites tells whether some open file of the node bypasses us.
func (fs *FS) passesWrites(n *node) bool {
	n.backing.mu.Lock()
	defer n.backing.mu.Unlock()
	return n.backing.passed > 0
}
