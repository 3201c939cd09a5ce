package aufs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// found is what a name means in a stack of branches.
type found struct {
	st     unix.Stat_t // of the topmost object
	layers []*branch   // the branches it is made of
	// hidden is the branch whose whiteout ended the search, if one did.
	hidden *branch
	strict bool // a lower layer of the folder is not open to everybody
}

// search looks name up in the folder dir of the given branches, top down:
//   - the first thing found wins;
//   - a whiteout ends the search, in the branches whose whiteouts count;
//   - if the first thing is a folder, folders below merge into it, and other
//     things below are skipped;
//   - a folder with an opaque mark is the last one to merge.
//
// ENOENT comes with hidden filled in.
func search(layers []*branch, dir, name string) (f found, err error) {
	path := joinPath(dir, name)
	for i, b := range layers {
		covered, err := b.hasMark(whiteoutOf(path))
		if err != nil {
			return f, err
		}
		if covered {
			f.hidden = b
		}
		// Below the first branch a whiteout beside the thing wins silently; in
		// the first one nobody can tell what was meant.
		if covered && i > 0 {
			break
		}
		st, err := b.lstat(path)
		if err == nil && covered {
			return f, unix.EIO
		}
		if err == nil {
			if done, err := f.add(b, path, st); done || err != nil {
				return f, err
			}
		} else if err != unix.ENOENT && err != unix.ENOTDIR {
			return f, err
		}
		if covered {
			break
		}
	}
	if len(f.layers) == 0 {
		return f, unix.ENOENT
	}
	return f, nil
}

// add takes one more object into account; done ends the search.
func (f *found) add(b *branch, path string, st unix.Stat_t) (done bool, err error) {
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if len(f.layers) == 0 {
		f.st = st
		f.layers = []*branch{b}
		if !isDir {
			return true, nil
		}
	} else if !isDir {
		return false, nil
	} else {
		f.layers = append(f.layers, b)
		f.strict = f.strict || closed(&st)
	}
	// The topmost opaque mark ends the search. (The module lets the lowest
	// one win and so brings deleted files back; see differences.go.)
	return b.hasMark(joinPath(path, whOpaque))
}

// hasMark tells whether the whiteout or opaque mark is there and counts. One
// that is no regular file is damage: EIO.
func (b *branch) hasMark(path string) (bool, error) {
	if !b.perm.Whiteouts() {
		return false, nil
	}
	st, err := b.lstat(path)
	switch {
	case err == unix.ENOENT || err == unix.ENOTDIR || err == unix.ENAMETOOLONG:
		return false, nil
	case err != nil:
		return false, err
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return false, unix.EIO
	}
	return true, nil
}

// find looks name up in a folder of the union. fs.tree is held.
func (fs *FS) find(p *node, name string) (found, error) {
	layers, dir, err := fs.place(p)
	if err != nil {
		return found{}, err
	}
	if err := checkName(name); err != nil {
		if !isReserved(name) || !fs.opts.ShowWh {
			return found{}, err
		}
		return searchPlain(layers, dir, name)
	}
	return search(layers, dir, name)
}

// searchPlain finds a reserved name with shwh: no whiteout hides a whiteout.
func searchPlain(layers []*branch, dir, name string) (found, error) {
	for _, b := range layers {
		if st, err := b.lstat(joinPath(dir, name)); err == nil {
			return found{st: st, layers: []*branch{b}}, nil
		}
	}
	return found{}, unix.ENOENT
}

// place returns the branches of a node and its path in them. ESTALE: it has
// no name any more.
func (fs *FS) place(n *node) ([]*branch, string, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	path, ok := n.path()
	if !ok {
		return nil, "", unix.ESTALE
	}
	return n.layers, path, nil
}

// Lookup answers LOOKUP: what is name in this folder?
func (fs *FS) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	p := fs.node(h.NodeId)
	if p == nil {
		return fuse.Status(unix.ESTALE)
	}
	if err := fs.mayEnter(p, h.Caller, fuse.X_OK); err != nil {
		return status(err)
	}
	f, err := fs.find(p, name)
	if err == unix.ENOENT {
		// Node id 0 with a time lets the kernel remember that there is nothing.
		out.SetEntryTimeout(fs.nameTime(p, nil, nil))
		return fuse.OK
	}
	if err != nil {
		return status(err)
	}
	return status(fs.reply(entry{p, name}, f, out))
}

// reply fills in the answer for an object just found or made, and counts the
// kernel's new reference to it.
func (fs *FS) reply(e entry, f found, out *fuse.EntryOut) error {
	n := fs.known(e, f)
	st, err := fs.stat(n, &f)
	if err != nil {
		fs.unknow(n)
		return err
	}
	out.NodeId = n.id
	out.Generation = 1
	fs.fill(&out.Attr, n, &st)
	out.SetEntryTimeout(fs.nameTime(e.parent, n, &st))
	out.SetAttrTimeout(fs.cacheTime())
	return nil
}

func (fs *FS) unknow(n *node) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n.lookups--
	fs.prune(n)
}
