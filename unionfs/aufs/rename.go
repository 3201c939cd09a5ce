package aufs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// renaming is one RENAME under way.
type renaming struct {
	from, to entry
	flags    uint32
	w        *worker
	changed  []*node
}

// Rename answers RENAME. What is moved must live in a rw branch; it is copied
// up first, without the tree lock, and looked at again under it.
func (fs *FS) Rename(_ <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	r := &renaming{flags: in.Flags, w: &worker{uid: int(in.Uid), gid: int(in.Gid)}}
	r.from, r.to = entry{fs.node(in.NodeId), oldName}, entry{fs.node(in.Newdir), newName}
	if r.from.parent == nil || r.to.parent == nil {
		return fuse.Status(unix.ESTALE)
	}
	if err := r.check(); err != nil {
		return status(err)
	}
	for {
		fs.tree.Lock()
		lower, err := fs.renameLocked(r)
		fs.tree.Unlock()
		if lower == nil {
			r.w.sweep()
			fs.kernel.attrsChanged(r.changed)
			return status(err)
		}
		if err := fs.bringUp(lower); err != nil {
			return status(err)
		}
	}
}

func (r *renaming) check() error {
	if r.flags&unix.RENAME_WHITEOUT != 0 {
		return unix.EINVAL
	}
	if err := checkName(r.from.name); err != nil {
		return err
	}
	return checkName(r.to.name)
}

// bringUp makes the name itself, and what it leads to, exist in a rw branch.
func (fs *FS) bringUp(n *node) error {
	if _, err := fs.copyUp(&job{n: n, upTo: whole}); err != nil {
		return err
	}
	return fs.materialise(n)
}

// renameLocked does the rename, or returns the node that has to be copied up
// before. fs.tree is held for writing.
func (fs *FS) renameLocked(r *renaming) (lower *node, err error) {
	f, err := fs.find(r.from.parent, r.from.name)
	if err != nil {
		return nil, err
	}
	if lower, err = fs.needsCopy(r.from, f); lower != nil || err != nil {
		return lower, err
	}
	g, err := fs.find(r.to.parent, r.to.name)
	if err != nil && err != unix.ENOENT {
		return nil, err
	}
	exists := err == nil
	if r.flags&unix.RENAME_EXCHANGE != 0 {
		if !exists {
			return nil, unix.ENOENT
		}
		return fs.exchange(r, f, g)
	}
	if exists && r.flags&unix.RENAME_NOREPLACE != 0 {
		return nil, unix.EEXIST
	}
	return nil, fs.renameOver(r, f, g, exists)
}

// needsCopy returns the node of a name that is not in a rw branch yet. Folders
// are copied up on the way, without what is in them.
func (fs *FS) needsCopy(e entry, f found) (*node, error) {
	if f.st.Mode&unix.S_IFMT == unix.S_IFDIR || f.layers[0].perm.Writable() {
		return nil, nil
	}
	n := e.parent.children[e.name]
	if n == nil {
		return nil, unix.ESTALE
	}
	n.last = e
	return n, nil
}

// renameOver moves f to a name that is free or that g has.
func (fs *FS) renameOver(r *renaming, f, g found, exists bool) (err error) {
	if r.w.b, err = fs.whereToChange(r.from.parent, f); err != nil {
		return err
	}
	if outranked(r.w.b, g) {
		return unix.EXDEV // what is at the target lies in a higher branch
	}
	isDir := f.st.Mode&unix.S_IFMT == unix.S_IFDIR
	_, src, err := fs.placeName(r.from)
	if err != nil {
		return err
	}
	_, dst, err := fs.placeName(r.to)
	if err != nil {
		return err
	}
	if exists {
		if err := mayRemove(g, dst, isDir); err != nil {
			return err
		}
	}
	if isDir {
		if err := fs.bringDir(r, r.from, f, src); err != nil {
			return err
		}
	}
	if err := fs.bringParents(r); err != nil {
		return err
	}
	kept := -1
	if exists {
		kept = fs.hold(r.to, g, dst)
	}
	if err := r.w.commit(fs.renameSteps(r, f, g, src, dst)...); err != nil {
		if kept >= 0 {
			unix.Close(kept)
		}
		return err
	}
	if exists {
		fs.nameGone(r.to, g, kept)
	}
	fs.moved(r.from, r.to, r.w.b)
	return nil
}

// outranked tells whether a thing moved within b would not be seen, because
// the target's object or whiteout lies above b.
func outranked(b *branch, g found) bool {
	return len(g.layers) > 0 && g.layers[0].index < b.index || g.hidden != nil && g.hidden.index < b.index
}

// renameSteps plans the rename in the branch.
func (fs *FS) renameSteps(r *renaming, f, g found, src, dst string) (steps []step) {
	b := r.w.b
	isDir := f.st.Mode&unix.S_IFMT == unix.S_IFDIR
	covers := g.hidden == b && len(g.layers) == 0 || shows(r.to.parent, dst, b)
	if isDir && (covers || fs.opts.DirOpq == "a") {
		steps = append(steps, step{verb: opaque, path: src})
	}
	if shows(r.from.parent, src, b) {
		steps = append(steps, step{verb: hide, path: src})
	}
	if isDir && len(g.layers) > 0 && g.layers[0] == b {
		steps = append(steps, step{verb: drop, path: dst})
	}
	steps = append(steps, step{verb: move, path: src, to: dst})
	if g.hidden == b && len(g.layers) == 0 {
		steps = append(steps, step{verb: show, path: dst})
	}
	return steps
}

func (fs *FS) bringParents(r *renaming) error {
	for _, p := range []*node{r.from.parent, r.to.parent} {
		changed, err := fs.ensureDir(p, r.w.b)
		r.changed = append(r.changed, changed...)
		if err != nil {
			return err
		}
	}
	return nil
}

// bringDir prepares a folder for moving: it must have no child in a branch
// below, since those would stay behind. mv(1) copies then.
func (fs *FS) bringDir(r *renaming, e entry, f found, path string) error {
	if childBelow(f.layers, path, r.w.b) {
		return unix.EXDEV
	}
	n := e.parent.children[e.name]
	if n == nil {
		return unix.ESTALE
	}
	changed, err := fs.ensureDir(n, r.w.b)
	r.changed = append(r.changed, changed...)
	return err
}

// moved records that the object of one name now has another.
func (fs *FS) moved(from, to entry, b *branch) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := from.parent.children[from.name]
	if n == nil {
		return
	}
	if n.isDir() {
		n.layers = []*branch{b} // nothing below has the new name, or shows through
	}
	n.lookups++ // keep it while it has no name
	fs.detach(n, from)
	fs.attach(n, to)
	n.lookups--
	n.last = to
	if n.plink != nil {
		delete(n.plink.real, from)
		n.plink.real[to] = true
	}
}

// exchange swaps two names (RENAME_EXCHANGE). Both must be in one rw branch.
// Unlike the module it refuses to swap a folder that has children below: they
// would be lost.
func (fs *FS) exchange(r *renaming, f, g found) (lower *node, err error) {
	if lower, err = fs.needsCopy(r.to, g); lower != nil || err != nil {
		return lower, err
	}
	if r.w.b, err = fs.whereToChange(r.from.parent, f); err != nil {
		return nil, err
	}
	other, err := fs.whereToChange(r.to.parent, g)
	if err != nil || other != r.w.b {
		return nil, orElse(err, unix.EXDEV)
	}
	_, src, err := fs.placeName(r.from)
	if err != nil {
		return nil, err
	}
	_, dst, err := fs.placeName(r.to)
	if err != nil {
		return nil, err
	}
	// Both sides are checked before either is marked.
	for _, side := range []struct {
		e    entry
		f    found
		path string
	}{{r.from, f, src}, {r.to, g, dst}} {
		if err := fs.bringSide(r, side.e, side.f, side.path); err != nil {
			return nil, err
		}
	}
	if err := r.w.commit(swapMarks(r, f, g, src, dst)...); err != nil {
		return nil, err
	}
	if err := unix.Renameat2(r.w.b.fd, src, r.w.b.fd, dst, unix.RENAME_EXCHANGE); err != nil {
		return nil, err
	}
	fs.swapped(r.from, r.to, r.w.b)
	return nil, nil
}

func (fs *FS) bringSide(r *renaming, e entry, f found, path string) error {
	if f.st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	return fs.bringDir(r, e, f, path)
}

// swapMarks makes a folder opaque if at its new name a lower branch shows
// something that it must not merge with.
func swapMarks(r *renaming, f, g found, src, dst string) (steps []step) {
	if f.st.Mode&unix.S_IFMT == unix.S_IFDIR && shows(r.to.parent, dst, r.w.b) {
		steps = append(steps, step{verb: opaque, path: src})
	}
	if g.st.Mode&unix.S_IFMT == unix.S_IFDIR && shows(r.from.parent, src, r.w.b) {
		steps = append(steps, step{verb: opaque, path: dst})
	}
	return steps
}

func (fs *FS) swapped(a, b entry, in *branch) {
	fs.mu.Lock()
	n, m := a.parent.children[a.name], b.parent.children[b.name]
	fs.mu.Unlock()
	aside := entry{a.parent, whTempPre + "aside"}
	fs.moved(a, aside, in)
	if m != nil {
		fs.moved(b, a, in)
	}
	if n != nil {
		fs.moved(aside, b, in)
	}
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
