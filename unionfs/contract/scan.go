package contract

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/unionfs/layertar"
)

// entry is all that a program can see of one file, for comparing.
type entry struct {
	Mode     fs.FileMode
	Uid, Gid uint32
	Size     int64  // files only: a folder's size is the file system's affair
	Rdev     uint64 // devices only
	Mtime    int64  // nanoseconds, 0 where it is not compared
	Content  string // sha256, or a link's target
	Names    string // the names that share this inode
	Xattrs   string
}

// look says how closely to look.
type look struct {
	seconds bool // whole seconds, for trees that came through a tar
	sockets bool // with sockets, which no tar holds
	xattrs  bool
}

type tree map[string]entry

// scan reads the tree below root.
func scan(t *testing.T, root string, l look) tree {
	t.Helper()
	found, inodes := make(tree), make(map[uint64][]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		fi, err := d.Info()
		if err != nil {
			return err
		}
		if fi.Mode().Type() == fs.ModeSocket && !l.sockets {
			return nil
		}
		e, err := describe(path, fi, l)
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		if !fi.IsDir() {
			inodes[st.Ino] = append(inodes[st.Ino], rel)
		}
		found[rel] = e
		return nil
	})
	if err != nil {
		t.Fatalf("scan %s: %v", root, err)
	}
	for _, names := range inodes {
		for _, n := range names {
			e := found[n]
			e.Names = strings.Join(names, " = ")
			found[n] = e
		}
	}
	return found
}

func describe(path string, fi fs.FileInfo, l look) (entry, error) {
	st := fi.Sys().(*syscall.Stat_t)
	e := entry{Mode: fi.Mode(), Uid: st.Uid, Gid: st.Gid}
	var err error
	switch fi.Mode().Type() {
	case 0:
		e.Size, e.Mtime = st.Size, fi.ModTime().UnixNano()
		e.Content, err = sum(path)
	case fs.ModeSymlink:
		e.Mode = fs.ModeSymlink // some file systems show 0777, some the umask
		e.Content, err = os.Readlink(path)
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		e.Rdev = st.Rdev
	}
	if l.seconds {
		e.Mtime = fi.ModTime().Unix() * 1e9
		if fi.Mode().Type() != 0 {
			e.Mtime = 0
		}
	}
	if l.xattrs && (fi.IsDir() || fi.Mode().IsRegular()) {
		e.Xattrs = xattrs(path)
	}
	return e, err
}

func sum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%.6x", h.Sum(nil)), err
}

func xattrs(path string) string {
	buf, value := make([]byte, 4096), make([]byte, 4096)
	n, _ := unix.Llistxattr(path, buf)
	var list []string
	for _, attr := range strings.Split(string(buf[:max(n, 0)]), "\x00") {
		if attr != "security.capability" && !strings.HasPrefix(attr, "user.") {
			continue
		}
		m, _ := unix.Lgetxattr(path, attr, value)
		list = append(list, fmt.Sprintf("%s=%x", attr, value[:max(m, 0)]))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// same fails the test where two trees differ.
func same(t *testing.T, what string, got, want tree) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: the tree differs from the plain folder (-plain +driver):\n%s", what, diff)
	}
}

// changes is the judge's own list of what happened between two scans: simple,
// and knowing nothing of drivers.
func changes(before, after tree) []string {
	kinds := make(map[string]layertar.Kind)
	for name, b := range before {
		a, ok := after[name]
		a.Names, b.Names = "", "" // a file is not changed by what happens to its other names
		if !ok {
			// Only the topmost deleted folder is listed, unless its place was
			// taken by something else.
			if _, gone := after[filepath.Dir(name)]; gone || filepath.Dir(name) == "." {
				if up, ok := after[filepath.Dir(name)]; !ok || up.Mode.IsDir() {
					kinds[name] = layertar.Deleted
				}
			}
		} else if a != b {
			kinds[name] = layertar.Changed
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			kinds[name] = layertar.Added
		}
	}
	for name := range maps.Clone(kinds) {
		for up := filepath.Dir(name); up != "."; up = filepath.Dir(up) {
			if kinds[up] == 0 {
				kinds[up] = layertar.Changed
			}
		}
	}
	list := make([]layertar.Change, 0, len(kinds))
	for name, k := range kinds {
		list = append(list, layertar.Change{Kind: k, Path: "/" + name})
	}
	layertar.SortChanges(list)
	return words(list)
}

func words(list []layertar.Change) []string {
	w := make([]string, len(list))
	for i, c := range list {
		w[i] = c.String()
	}
	return w
}
