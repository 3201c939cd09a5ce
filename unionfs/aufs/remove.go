package aufs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Unlink answers UNLINK.
func (fs *FS) Unlink(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return fs.remove(h, name, false)
}

// Rmdir answers RMDIR.
func (fs *FS) Rmdir(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return fs.remove(h, name, true)
}

func (fs *FS) remove(h *fuse.InHeader, name string, isDir bool) fuse.Status {
	w := &worker{uid: int(h.Uid), gid: int(h.Gid)}
	fs.tree.Lock()
	changed, err := fs.removeLocked(w, h, name, isDir)
	fs.tree.Unlock()
	w.sweep()
	fs.kernel.attrsChanged(changed)
	return status(err)
}

// removeLocked takes the name away: what a rw branch holds is removed, and a
// whiteout is put where a lower branch would show the name again.
func (fs *FS) removeLocked(w *worker, h *fuse.InHeader, name string, isDir bool) (changed []*node, err error) {
	p := fs.node(h.NodeId)
	if p == nil {
		return nil, unix.ESTALE
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := fs.mayEnter(p, h.Caller, fuse.X_OK); err != nil {
		return nil, err
	}
	f, err := fs.find(p, name)
	if err != nil {
		return nil, err
	}
	e := entry{p, name}
	_, path, err := fs.placeName(e)
	if err == nil {
		err = mayRemove(f, path, isDir)
	}
	if err != nil {
		return nil, err
	}
	if w.b, err = fs.whereToChange(p, f); err != nil {
		return nil, err
	}
	if changed, err = fs.ensureDir(p, w.b); err != nil {
		return changed, err
	}
	var steps []step
	if f.layers[0].index > w.b.index || shows(p, path, w.b) {
		steps = append(steps, step{verb: hide, path: path})
	}
	if f.layers[0] == w.b {
		steps = append(steps, step{verb: drop, path: path})
	}
	kept := fs.hold(e, f, path)
	if err = w.commit(steps...); err == nil {
		fs.nameGone(e, f, kept)
	} else if kept >= 0 {
		unix.Close(kept)
	}
	return changed, err
}

// mayRemove checks the kind, and that a folder is empty: no child visible from
// any branch. Whiteouts in it do not count.
func mayRemove(f found, path string, isDir bool) error {
	switch kind := f.st.Mode & unix.S_IFMT; {
	case isDir && kind != unix.S_IFDIR:
		return unix.ENOTDIR
	case !isDir && kind == unix.S_IFDIR:
		return unix.EISDIR
	case !isDir:
		return nil
	}
	list, err := merge(f.layers, path)
	if err == nil && len(list) > 0 {
		return unix.ENOTEMPTY
	}
	return err
}

// whereToChange is the branch in which a found name is changed: where it is,
// if that takes changes, else where a copy-up would go.
func (fs *FS) whereToChange(p *node, f found) (*branch, error) {
	if b := f.layers[0]; b.perm.Writable() {
		return b, nil
	}
	return fs.forCopy(p, f.layers[0])
}

// shows tells whether a branch below b shows something at path, in folder p.
func shows(p *node, path string, b *branch) bool {
	var lower []*branch
	for _, l := range p.layers {
		if l.index > b.index {
			lower = append(lower, l)
		}
	}
	dir, name := splitPath(path)
	_, err := search(lower, dir, name)
	return err == nil
}

// hold opens an object that is about to lose its last name: somebody may have
// found it a moment ago and open it a moment later. -1 if there is no need.
func (fs *FS) hold(e entry, f found, path string) int {
	fs.mu.Lock()
	n := e.parent.children[e.name]
	needed := n != nil && !n.isDir() && len(n.names) == 1 && n.plink == nil && n.keep < 0
	fs.mu.Unlock()
	if !needed {
		return -1
	}
	fd, err := unix.Openat(f.layers[0].fd, path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// nameGone forgets a name that was removed or replaced. f is what it was, kept
// what hold returned.
func (fs *FS) nameGone(e entry, f found, kept int) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	b := f.layers[0]
	last := f.st.Mode&unix.S_IFMT == unix.S_IFDIR || f.st.Nlink <= 1
	if last && b.perm.Writable() {
		delete(fs.inos, b.inode(&f.st)) // the branch may give the number to another one
	}
	n := e.parent.children[e.name]
	if n == nil {
		return
	}
	n.gone = f.st
	n.gone.Nlink = 0
	if kept >= 0 {
		n.keep = kept
	}
	if n.plink != nil {
		n.plink.nlink--
		delete(n.plink.real, e)
	}
	fs.detach(n, e)
}
