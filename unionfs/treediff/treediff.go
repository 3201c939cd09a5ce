// Package treediff compares two whole trees: what has the new one other than
// the old one? It is how a layer's content is found by the drivers that keep a
// full tree per layer (vfs, btrfs, zfs, devicemapper). Docker calls it the naive
// diff: it has to look at every file of the image, where overlayfs looks at what
// changed.
//
//	both folders are listed in order and merged:
//	old   bin  etc  tmp            only in old   deleted
//	new   bin  etc       var       only in new   added
//	                               in both       compare, and go down
//
// Two files count as equal when type, mode, owner, device and size are and then
// either the change time (ctime) is the same, or the modification time and the
// content. A program can set mtime back but not ctime (inode(7)), so on
// snapshots, where an untouched file keeps its inode and its ctime, the answer
// is exact and no content is read. A copied tree (vfs) has new ctimes and pays
// by reading.
package treediff

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"cutaway/unionfs/layertar"
)

// Compare lists what the tree now has other than the tree before, sorted.
// before "" stands for the empty tree.
func Compare(before, now string) ([]layertar.Change, error) {
	c := &comparison{}
	var err error
	if before != "" {
		if c.old, err = os.OpenRoot(before); err != nil {
			return nil, err
		}
		defer c.old.Close()
	}
	if c.now, err = os.OpenRoot(now); err != nil {
		return nil, err
	}
	defer c.now.Close()
	if _, err := c.folder(".", before != ""); err != nil {
		return nil, fmt.Errorf("compare %s with %s: %w", now, before, err)
	}
	layertar.SortChanges(c.changes)
	return c.changes, nil
}

type comparison struct {
	old, now *os.Root
	changes  []layertar.Change
}

func (c *comparison) note(kind layertar.Kind, name string) {
	c.changes = append(c.changes, layertar.Change{Kind: kind, Path: "/" + name})
}

// folder compares one folder; hasOld is false where only the new tree has it.
// It says whether anything in it differs.
func (c *comparison) folder(dir string, hasOld bool) (bool, error) {
	var old []fs.FileInfo
	var err error
	if hasOld {
		if old, err = list(c.old, dir); err != nil {
			return false, err
		}
	}
	now, err := list(c.now, dir)
	if err != nil {
		return false, err
	}
	differs := false
	for len(old) > 0 || len(now) > 0 {
		var o, n fs.FileInfo
		if len(now) == 0 || len(old) > 0 && old[0].Name() <= now[0].Name() {
			o = old[0]
		}
		if len(old) == 0 || len(now) > 0 && now[0].Name() <= old[0].Name() {
			n = now[0]
		}
		if o != nil {
			old = old[1:]
		}
		if n != nil {
			now = now[1:]
		}
		d, err := c.pair(dir, o, n)
		if err != nil {
			return false, err
		}
		differs = differs || d
	}
	return differs, nil
}

// pair compares one name; o or n is nil where a tree lacks it.
func (c *comparison) pair(dir string, o, n fs.FileInfo) (bool, error) {
	switch {
	case n == nil:
		c.note(layertar.Deleted, path.Join(dir, o.Name()))
		return true, nil
	case o == nil:
		name := path.Join(dir, n.Name())
		c.note(layertar.Added, name)
		if n.IsDir() {
			_, err := c.folder(name, false)
			return true, err
		}
		return true, nil
	}
	name := path.Join(dir, n.Name())
	same, err := c.same(name, o, n)
	if err != nil {
		return false, err
	}
	if n.IsDir() {
		inside, err := c.folder(name, o.IsDir())
		if err != nil {
			return false, err
		}
		// A folder counts as changed when something in it did, for its own
		// entry in the layer must come before the entries inside.
		same = same && !inside
	}
	if !same {
		c.note(layertar.Changed, name)
	}
	return !same, nil
}

// same compares two entries of one name by the rule of the package comment.
func (c *comparison) same(name string, o, n fs.FileInfo) (bool, error) {
	a, b := o.Sys().(*syscall.Stat_t), n.Sys().(*syscall.Stat_t)
	if a.Mode != b.Mode || a.Uid != b.Uid || a.Gid != b.Gid || a.Rdev != b.Rdev {
		return false, nil
	}
	// A change time in whole seconds comes from a file system that keeps no
	// more (zfs-fuse): two changes within a second would look like none.
	if a.Ctim == b.Ctim && a.Ino == b.Ino && a.Ctim.Nsec != 0 {
		return true, nil
	}
	if !o.IsDir() && (a.Size != b.Size || a.Mtim != b.Mtim) {
		return false, nil
	}
	switch o.Mode().Type() {
	case 0, fs.ModeDir:
		return c.sameOpened(name, o.Mode().IsRegular())
	case fs.ModeSymlink:
		x, err := c.old.Readlink(name)
		if err != nil {
			return false, err
		}
		y, err := c.now.Readlink(name)
		return x == y, err
	}
	return true, nil
}

// sameOpened compares attributes, and for regular files the bytes.
func (c *comparison) sameOpened(name string, content bool) (bool, error) {
	x, err := c.old.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer x.Close()
	y, err := c.now.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer y.Close()
	if same, err := layertar.SameXattrs(int(x.Fd()), int(y.Fd())); !same || err != nil || !content {
		return same, err
	}
	return sameBytes(x, y)
}

func sameBytes(x, y io.Reader) (bool, error) {
	a, b := make([]byte, 128<<10), make([]byte, 128<<10)
	for {
		n, errx := io.ReadFull(x, a)
		m, erry := io.ReadFull(y, b)
		if !bytes.Equal(a[:n], b[:m]) {
			return false, nil
		}
		if errx != nil || erry != nil {
			return errx == erry, nil
		}
	}
}

func list(root *os.Root, dir string) ([]fs.FileInfo, error) {
	f, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	infos := make([]fs.FileInfo, len(entries))
	for i, e := range entries {
		if infos[i], err = e.Info(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return infos, nil
}

// Size sums the bytes of all that the changes bring to tree and that is not a
// folder, each inode once.
func Size(tree string, changes []layertar.Change) (int64, error) {
	root, err := os.OpenRoot(tree)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	var sum int64
	seen := make(map[uint64]bool)
	for _, ch := range changes {
		if ch.Kind == layertar.Deleted {
			continue
		}
		fi, err := root.Lstat(strings.TrimPrefix(ch.Path, "/"))
		if err != nil {
			return 0, err
		}
		st := fi.Sys().(*syscall.Stat_t)
		if !fi.IsDir() && !seen[st.Ino] {
			seen[st.Ino] = st.Nlink > 1
			sum += fi.Size()
		}
	}
	return sum, nil
}
