package aufs

import "golang.org/x/sys/unix"

// With several rw branches a rule says which of them takes a new object.

// forNew picks the branch for a new object in the folder p (create=).
// fs.tree is held.
func (fs *FS) forNew(p *node) (*branch, error) {
	switch fs.opts.Create {
	case "rr":
		return fs.nextInTurn(p)
	case "mfs":
		return fs.mostFree(fs.branches, p)
	case "pmfs":
		return fs.mostFree(p.layers, p)
	}
	return fs.above(p.top())
}

// above gives the nearest rw branch at or above b. What is made there is seen:
// nothing above it has the folder. Without one the union is read-only here.
func (fs *FS) above(b *branch) (*branch, error) {
	for i := b.index; i >= 0; i-- {
		if fs.branches[i].perm.Writable() {
			return fs.branches[i], nil
		}
	}
	return nil, unix.EROFS
}

// forCopy picks the branch that a copy-up from b goes to, for an object in the
// folder p (cpup=). fs.tree is held.
func (fs *FS) forCopy(p *node, b *branch) (*branch, error) {
	switch fs.opts.Cpup {
	case "bu":
		return fs.above(b)
	case "bup":
		for i := b.index; i >= 0; i-- {
			if c := fs.branches[i]; c.perm.Writable() && p.in(c) {
				return c, nil
			}
		}
		return fs.above(b)
	}
	for _, c := range p.layers { // top-down parent
		if c.index < b.index && c.perm.Writable() {
			return c, nil
		}
	}
	if b.index == 0 {
		return nil, unix.EROFS
	}
	return fs.above(fs.branches[b.index-1])
}

// nextInTurn goes round the rw branches. The root is in all of them.
func (fs *FS) nextInTurn(p *node) (*branch, error) {
	for range fs.branches {
		b := fs.branches[fs.turn%len(fs.branches)]
		fs.turn++
		if b.perm.Writable() && b.index <= p.top().index || b.perm.Writable() && p.in(b) {
			return b, nil
		}
	}
	return nil, unix.EROFS
}

// mostFree gives the rw branch among these with the most free space, of those
// where a new object in p would be seen.
func (fs *FS) mostFree(among []*branch, p *node) (best *branch, err error) {
	var most uint64
	for _, b := range among {
		var st unix.Statfs_t
		seen := b.index <= p.top().index || p.in(b)
		if !b.perm.Writable() || !seen || unix.Fstatfs(b.fd, &st) != nil {
			continue
		}
		if free := st.Bavail * uint64(st.Bsize); best == nil || free > most {
			best, most = b, free
		}
	}
	if best == nil {
		return fs.above(p.top())
	}
	return best, nil
}
