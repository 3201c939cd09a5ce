package aufs

import (
	"strings"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// child is one name in a merged folder.
type child struct {
	name string
	mode uint32 // S_IFMT bits, 0 if the branch did not tell
	key  branchInode
}

// merge lists a folder of several branches: the topmost branch's names first,
// in that branch's own order, then the new names of the next one, and so on.
// A name seen or whiteouted above does not come again.
func merge(layers []*branch, dir string) ([]child, error) { return mergeShowing(layers, dir, false) }

// mergeShowing can list the reserved names as well (shwh).
func mergeShowing(layers []*branch, dir string, reserved bool) (list []child, err error) {
	covered := map[string]bool{}
	for _, b := range layers {
		names, err := b.list(dir)
		if err == unix.ENOENT || err == unix.ENOTDIR {
			continue // removed behind our back
		}
		if err != nil {
			return nil, err
		}
		b.coverWhiteouts(names, covered)
		for _, c := range names {
			if covered[c.name] || isReserved(c.name) && !reserved {
				continue
			}
			covered[c.name] = true
			if isReserved(c.name) || len(c.name) > maxName {
				c.mode = 0
			}
			list = append(list, c)
		}
	}
	return list, nil
}

// coverWhiteouts adds the names that the branch's whiteouts hide.
func (b *branch) coverWhiteouts(names []child, covered map[string]bool) {
	if !b.perm.Whiteouts() {
		return
	}
	for _, c := range names {
		if name, ok := strings.CutPrefix(c.name, whPrefix); ok {
			covered[name] = true
		}
	}
}

// childBelow tells whether a branch other than b shows a child in the folder,
// whether b has one of the same name or not.
func childBelow(layers []*branch, dir string, b *branch) bool {
	covered := map[string]bool{}
	for _, l := range layers {
		names, err := l.list(dir)
		if err != nil {
			continue
		}
		l.coverWhiteouts(names, covered)
		for _, c := range names {
			if l != b && !isReserved(c.name) && !covered[c.name] {
				return true
			}
		}
	}
	return false
}

// list reads one folder of one branch, without . and .., by getdents64(2).
func (b *branch) list(dir string) (names []child, err error) {
	fd, err := unix.Openat(b.fd, dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if n <= 0 {
			return names, err
		}
		for rest := buf[:n]; len(rest) > 0; {
			var d fuse.DirEntry
			rest = rest[d.Parse(rest):]
			if d.Name != "." && d.Name != ".." {
				names = append(names, child{name: d.Name, mode: d.Mode, key: branchInode{b.id, st.Dev, d.Ino}})
			}
		}
	}
}

// dirHandle is an open folder. The list is made at the first read and after
// each rewind, so that a reader meets every name once while others change it.
type dirHandle struct {
	n    *node
	mu   sync.Mutex
	list []child
}

// OpenDir answers OPENDIR.
func (fs *FS) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n := fs.node(in.NodeId)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	fs.tree.RLock()
	err := fs.mayEnter(n, in.Caller, fuse.R_OK)
	fs.tree.RUnlock()
	if err == nil && fs.copiesOnOpen(n) {
		_, err = fs.copyDir(n)
	}
	if err != nil {
		return status(err)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.nextFh++
	out.Fh = fs.nextFh
	if fs.cacheTime() > 0 {
		// The kernel keeps the list until the folder's time changes.
		out.OpenFlags |= fuse.FOPEN_CACHE_DIR | fuse.FOPEN_KEEP_CACHE
	}
	fs.dirs[out.Fh] = &dirHandle{n: n}
	return fuse.OK
}

// ReleaseDir answers RELEASEDIR.
func (fs *FS) ReleaseDir(in *fuse.ReleaseIn) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.dirs, in.Fh)
}

// FsyncDir answers FSYNCDIR. A folder's changes are made at once in the branch.
func (fs *FS) FsyncDir(_ <-chan struct{}, _ *fuse.FsyncIn) fuse.Status { return fuse.OK }

// entries returns the names from an offset on; "." and ".." have the first two.
func (fs *FS) entries(in *fuse.ReadIn) (n *node, rest []child, err error) {
	fs.mu.Lock()
	d := fs.dirs[in.Fh]
	fs.mu.Unlock()
	if d == nil {
		return nil, nil, unix.EBADF
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if in.Offset == 0 {
		layers, dir, err := fs.place(d.n)
		d.list = []child{{name: ".", mode: unix.S_IFDIR}, {name: "..", mode: unix.S_IFDIR}}
		if err == nil { // a removed folder is empty
			list, err := mergeShowing(layers, dir, fs.opts.ShowWh)
			if err != nil {
				return nil, nil, err
			}
			d.list = append(d.list, list...)
		}
	}
	return d.n, d.list[min(int(in.Offset), len(d.list)):], nil
}

// dirent is a name in FUSE's shape, with the number that a lookup would give.
func (fs *FS) dirent(n *node, c child) fuse.DirEntry {
	e := fuse.DirEntry{Name: c.name, Mode: c.mode}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	switch {
	case c.name == ".":
		e.Ino = n.ino
	case c.name == "..":
		e.Ino = rootIno
		if len(n.names) > 0 {
			e.Ino = n.names[0].parent.ino
		}
	case len(c.name) > maxName:
		e.Ino = c.key.ino // listed, but not to be reached
	default:
		e.Ino = fs.number(c.key)
	}
	return e
}

// ReadDir answers READDIR.
func (fs *FS) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	n, rest, err := fs.entries(in)
	if err != nil {
		return status(err)
	}
	for _, c := range rest {
		if !out.AddDirEntry(fs.dirent(n, c)) {
			break
		}
	}
	return fuse.OK
}

// ReadDirPlus answers READDIRPLUS: names together with what LOOKUP would say,
// which saves ls -l a request for each.
func (fs *FS) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	fs.tree.RLock()
	defer fs.tree.RUnlock()
	n, rest, err := fs.entries(in)
	if err != nil {
		return status(err)
	}
	for _, c := range rest {
		answer := out.AddDirLookupEntry(fs.dirent(n, c))
		if answer == nil {
			break
		}
		if c.name == "." || c.name == ".." || fs.mayEnter(n, in.Caller, fuse.X_OK) != nil {
			continue // a zero answer is a name alone
		}
		if f, err := fs.find(n, c.name); err == nil {
			fs.reply(entry{n, c.name}, f, answer)
		}
	}
	return fuse.OK
}
