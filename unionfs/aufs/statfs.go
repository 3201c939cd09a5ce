package aufs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// StatFs answers STATFS with the first branch's numbers; with the option sum,
// all file systems are added up.
func (fs *FS) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	var st unix.Statfs_t
	if err := unix.Fstatfs(fs.branches[0].fd, &st); err != nil {
		return status(err)
	}
	*out = fuse.StatfsOut{
		Blocks: st.Blocks, Bfree: st.Bfree, Bavail: st.Bavail, Files: st.Files, Ffree: st.Ffree,
		Bsize: uint32(st.Bsize), Frsize: uint32(st.Frsize), NameLen: maxName,
	}
	if fs.opts.Sum {
		for _, b := range fs.branches[1:] {
			addStatfs(out, b)
		}
	}
	return fuse.OK
}

// addStatfs adds a branch, in the first one's block size.
func addStatfs(out *fuse.StatfsOut, b *branch) {
	var st unix.Statfs_t
	if unix.Fstatfs(b.fd, &st) != nil || out.Bsize == 0 {
		return
	}
	scale := func(blocks uint64) uint64 { return blocks * uint64(st.Bsize) / uint64(out.Bsize) }
	out.Blocks += scale(st.Blocks)
	out.Bfree += scale(st.Bfree)
	out.Bavail += scale(st.Bavail)
	out.Files += st.Files
	out.Ffree += st.Ffree
}
