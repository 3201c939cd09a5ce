package aufs

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// job is one copy-up: of which node, how much, and where to.
type job struct {
	n       *node
	upTo    int64 // how many bytes are needed: a file about to be cut is copied in part
	toPlink bool  // only make the pseudo-link, no name (for link(2))

	from entry   // the name it is used by; none for an unlinked file
	to   *branch // the rw branch that gets the copy
	src  spot
	st   unix.Stat_t
	tmp  string // the copy, in the orphan folder of to
}

const whole = int64(1) << 62

// makeWritable sees to it that the node lives in a rw branch, before it is
// changed. copied tells whether that took a copy-up.
func (fs *FS) makeWritable(n *node, cut bool, size uint64) (copied bool, err error) {
	if n.isDir() {
		return fs.copyDir(n)
	}
	j := &job{n: n, upTo: whole}
	if cut {
		j.upTo = int64(size)
	}
	if copied, err = fs.copyUp(j); err != nil || copied {
		return copied, err
	}
	return false, fs.materialise(n)
}

// settled tells whether the node needs no copy-up (any more).
func (fs *FS) settled(n *node) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return len(n.layers) > 0 && n.top().perm.Writable()
}

// copyUp copies a file, symlink or device up. The long part, copying the data,
// is done into the orphan folder without the tree lock; then the copy is moved
// to its place at once. A reader sees the old file or the new, a killed server
// leaves an orphan that the next mount removes, and a caller who goes away in
// the middle changes nothing: copying goes on to its end.
func (fs *FS) copyUp(j *job) (copied bool, err error) {
	if fs.settled(j.n) {
		return false, nil
	}
	j.n.copying.Lock()
	defer j.n.copying.Unlock()
	if fs.settled(j.n) {
		return false, nil // another one was faster
	}
	if err := fs.prepareCopy(j); err != nil {
		return false, err
	}
	if err := fs.copyObject(j); err != nil {
		removeTree(j.to.orph, j.tmp)
		return false, err
	}
	fs.tree.Lock()
	changed, err := fs.install(j)
	fs.tree.Unlock()
	if err != nil {
		removeTree(j.to.orph, j.tmp)
		return false, err
	}
	fs.kernel.attrsChanged(changed)
	return true, nil
}

// prepareCopy finds out what to copy where.
func (fs *FS) prepareCopy(j *job) (err error) {
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	if j.src, err = fs.spot(j.n); err != nil {
		return err
	}
	if j.st, err = j.src.stat(); err != nil {
		return err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	p := fs.root
	if j.from = j.n.usedName(); j.from.parent != nil {
		p = j.from.parent
	}
	j.to, err = fs.forCopy(p, j.n.top())
	j.tmp = tempName()
	return err
}

// usedName is the name that the node was last looked up by, or any.
func (n *node) usedName() entry {
	if n.last.parent != nil || len(n.names) == 0 {
		return n.last
	}
	return n.names[0]
}

// install moves the finished copy into place. fs.tree is held for writing.
// changed lists folders whose attributes became other ones.
func (fs *FS) install(j *job) (changed []*node, err error) {
	if !j.to.perm.Writable() || j.to.orph < 0 {
		return nil, unix.EROFS // the branch list changed meanwhile
	}
	fs.mu.Lock()
	j.from = j.n.usedName() // it may have been renamed, or unlinked, meanwhile
	fs.mu.Unlock()
	var st unix.Stat_t
	if err := unix.Fstatat(j.to.orph, j.tmp, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, err
	}
	reopened, err := fs.reopen(j)
	if err != nil {
		return nil, err
	}
	switch {
	case j.from.parent == nil:
		err = fs.installNameless(j)
	case !fs.opts.NoPlink && (j.toPlink || j.st.Nlink > 1):
		changed, err = fs.installPlink(j, &st)
	default:
		changed, err = fs.installName(j)
	}
	if err != nil {
		reopened.close()
		return nil, err
	}
	fs.settle(j, &st, reopened)
	return changed, nil
}

// installNameless keeps the copy of an unlinked file by descriptors alone.
func (fs *FS) installNameless(j *job) error {
	fd, err := unix.Openat(j.to.orph, j.tmp, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if j.n.keep >= 0 {
		unix.Close(j.n.keep)
	}
	j.n.keep = fd
	return unix.Unlinkat(j.to.orph, j.tmp, 0)
}

// installName gives the copy its name. The name must be free: something that
// was put into the branch directly meanwhile is not overwritten.
func (fs *FS) installName(j *job) ([]*node, error) {
	changed, err := fs.ensureDir(j.from.parent, j.to)
	if err != nil {
		return changed, err
	}
	_, path, err := fs.placeName(j.from)
	if err != nil {
		return changed, err
	}
	err = unix.Renameat2(j.to.orph, j.tmp, j.to.fd, path, unix.RENAME_NOREPLACE)
	if err == unix.EEXIST {
		err = unix.EIO
	}
	return append(changed, j.from.parent), err
}

// placeName is the path of an entry, and the branches of its folder.
func (fs *FS) placeName(e entry) ([]*branch, string, error) {
	layers, dir, err := fs.place(e.parent)
	return layers, joinPath(dir, e.name), err
}

// settle records that the node lives in the rw branch from now on.
func (fs *FS) settle(j *job, st *unix.Stat_t, r reopened) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	old := j.n.top()
	if fs.opts.NoPlink && j.st.Nlink > 1 {
		// The copy breaks the hard link: the other names become an inode of
		// their own.
		delete(fs.inos, old.inode(&j.st))
		for _, e := range append([]entry(nil), j.n.names...) {
			if e != j.from {
				fs.detach(j.n, e)
			}
		}
	}
	j.n.layers = []*branch{j.to}
	fs.renumber(j.n, j.to, st)
	r.swap()
}

// reopened are new descriptors for the open files of a node.
type reopened map[*handle]int

// reopen opens the copy once for each open file. A file that was opened before
// the copy-up sees the new data afterwards.
func (fs *FS) reopen(j *job) (reopened, error) {
	r := reopened{}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for h := range j.n.handles {
		fd, err := unix.Openat(j.to.orph, j.tmp, h.flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			r.close()
			return nil, err
		}
		r[h] = fd
	}
	return r, nil
}

func (r reopened) close() {
	for _, fd := range r {
		unix.Close(fd)
	}
}

// swap puts the new descriptors in use. The old ones stay open until the file
// is closed, since a read may be under way on them.
func (r reopened) swap() {
	for h, fd := range r {
		h.old = append(h.old, int(h.fd.Swap(int32(fd))))
	}
}

// copyDir brings a folder itself (not what is in it) to a rw branch.
func (fs *FS) copyDir(n *node) (copied bool, err error) {
	if fs.settled(n) {
		return false, nil
	}
	fs.tree.Lock()
	p := n.usedName().parent
	if p == nil {
		p = fs.root
	}
	b, err := fs.forCopy(p, n.top())
	var changed []*node
	if err == nil {
		changed, err = fs.ensureDir(n, b)
	}
	fs.tree.Unlock()
	fs.kernel.attrsChanged(changed)
	return err == nil, err
}

// ensureDir makes the folder exist in the branch, and all above it, like the
// topmost one there is: mode, owner, times, attributes. fs.tree is held for
// writing. changed lists the folders that got new attributes.
func (fs *FS) ensureDir(n *node, b *branch) (changed []*node, err error) {
	layers, path, err := fs.place(n)
	if err != nil || n.in(b) {
		return nil, err
	}
	if !b.perm.Writable() {
		return nil, unix.EROFS
	}
	if b.index > layers[0].index {
		return nil, unix.EXDEV // something above hides the folder of that branch
	}
	parent := n.names[0].parent
	if changed, err = fs.ensureDir(parent, b); err != nil {
		return changed, err
	}
	src := spot{b: layers[0], dirfd: layers[0].fd, path: path}
	st, err := src.stat()
	if err != nil {
		return changed, err
	}
	made, err := makeDirLike(b, src, &st, path)
	if err != nil {
		return changed, fmt.Errorf("copy-up of folder %s: %w", path, err)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n.layers = insertBranch(n.layers, b)
	n.strict = n.strict || closed(&st)
	fs.renumber(n, b, &made)
	return append(changed, parent, n), nil
}

// makeDirLike makes a folder in the orphans, dresses it like src and moves it
// to its path: nobody sees it half-dressed.
func makeDirLike(b *branch, src spot, st *unix.Stat_t, path string) (made unix.Stat_t, err error) {
	tmp := tempName()
	if err = unix.Mkdirat(b.orph, tmp, 0o700); err != nil {
		return made, err
	}
	if err = copyMeta(src, st, b, tmp); err == nil {
		err = unix.Renameat2(b.orph, tmp, b.fd, path, unix.RENAME_NOREPLACE)
	}
	if err != nil {
		unix.Unlinkat(b.orph, tmp, unix.AT_REMOVEDIR)
		return made, err
	}
	return b.lstat(path)
}

// insertBranch adds b to layers, which are sorted from the top.
func insertBranch(layers []*branch, b *branch) []*branch {
	out := make([]*branch, 0, len(layers)+1)
	for i, l := range layers {
		if b.index < l.index {
			return append(append(out, b), layers[i:]...)
		}
		out = append(out, l)
	}
	return append(out, b)
}
