package aufs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Link answers LINK. A lower file is copied up first: into the plnk folder
// with pseudo-links, so that its old name need not be copied; under its name
// with noplink.
func (fs *FS) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	n := fs.node(in.Oldnodeid)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	// Errors first: a link that fails must not leave a copy.
	fs.tree.RLock()
	err := fs.linkable(&in.InHeader, name)
	fs.tree.RUnlock()
	var copied bool
	if err == nil {
		copied, err = fs.copyUp(&job{n: n, upTo: whole, toPlink: true})
	}
	if err != nil {
		return status(err)
	}
	if copied {
		// The old name is a pseudo-link from now on: we must be asked each
		// time it is used, which the kernel was told is not necessary.
		fs.kernel.expireNames()
	}
	fs.tree.Lock()
	changed, err := fs.linkLocked(n, in, name, out)
	fs.tree.Unlock()
	fs.kernel.attrsChanged(changed)
	return status(err)
}

func (fs *FS) linkable(h *fuse.InHeader, name string) error {
	p := fs.node(h.NodeId)
	if p == nil {
		return unix.ESTALE
	}
	if err := checkName(name); err != nil {
		return err
	}
	if _, err := fs.find(p, name); err != unix.ENOENT {
		return orElse(err, unix.EEXIST)
	}
	return nil
}

func (fs *FS) linkLocked(n *node, in *fuse.LinkIn, name string, out *fuse.EntryOut) ([]*node, error) {
	p := fs.node(in.NodeId)
	if p == nil {
		return nil, unix.ESTALE
	}
	r, err := fs.roomFor(p, name)
	if err != nil {
		return r.changed, err
	}
	s, err := fs.spot(n)
	if err != nil {
		return r.changed, err
	}
	if n.top() != r.b {
		if err := fs.roomIn(&r, n.top()); err != nil {
			return r.changed, err
		}
	}
	flags := 0
	if s.nameless { // a file opened with O_TMPFILE gets its first name
		flags = unix.AT_SYMLINK_FOLLOW
	}
	root := fuse.Caller{} // a link has the owner it has
	err = fs.make(r, root, false, func(dirfd int, path string) error {
		return unix.Linkat(s.dirfd, s.path, dirfd, path, flags)
	})
	if err != nil {
		return r.changed, err
	}
	return r.changed, fs.replyLink(n, r, out)
}

// roomIn moves the room to the branch that the linked file lives in: hard
// links cannot cross.
func (fs *FS) roomIn(r *room, b *branch) error {
	if r.whited {
		return unix.EXDEV
	}
	r.b = b
	changed, err := fs.ensureDir(r.at.parent, b)
	r.changed = append(r.changed, changed...)
	return err
}

func (fs *FS) replyLink(n *node, r room, out *fuse.EntryOut) error {
	fs.mu.Lock()
	if n.plink != nil {
		n.plink.nlink++
		n.plink.real[r.at] = true
	}
	fs.mu.Unlock()
	st, err := r.b.lstat(r.path)
	if err != nil {
		return err
	}
	return fs.reply(r.at, found{st: st, layers: []*branch{r.b}}, out)
}
