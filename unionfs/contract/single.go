package contract

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/unionfs"
	"cutaway/unionfs/layertar"
)

func (c Case) basics(t *testing.T) {
	d, home := c.open(t)
	create(t, d, "bottom", "")
	create(t, d, "top", "bottom")
	if err := d.Create("bottom", "", unionfs.CreateOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create of a known id = %v; want fs.ErrExist", err)
	}
	if err := d.Create("x", "nobody", unionfs.CreateOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Create on an unknown parent = %v; want fs.ErrNotExist", err)
	}
	for _, id := range []string{"", ".", "..", "a/b", "../x", "a:b", "a,b", "-x", "x-removing", strings.Repeat("x", 300)} {
		if err := d.Create(id, "", unionfs.CreateOptions{}); err == nil {
			t.Errorf("Create(%q) = nil; want an error", id)
		}
		if d.Exists(id) {
			t.Errorf("Exists(%q) = true; want false", id)
		}
	}
	if _, err := d.Mount("nobody", unionfs.MountOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Mount of an unknown id = %v; want fs.ErrNotExist", err)
	}
	if _, err := d.Metadata("top"); err != nil {
		t.Errorf("Metadata(top): %v", err)
	}
	if len(d.Status()) == 0 {
		t.Error("Status() is empty")
	}
	if err := d.Remove("nobody"); err != nil {
		t.Errorf("Remove of an unknown id = %v; want nil", err)
	}
	other := c.reopen(t, home) // what is on disk is all that counts
	defer other.Close()
	if ids, err := other.List(); err != nil || !cmp.Equal(ids, []string{"bottom", "top"}) {
		t.Errorf("List() = %v, %v; want [bottom top]", ids, err)
	}
}

// mounts checks that holders share a mount and the last one takes it away.
func (c Case) mounts(t *testing.T) {
	d, _ := c.open(t)
	create(t, d, "bottom", "")
	create(t, d, "top", "bottom")
	before := mountCount(t)
	a, err := d.Mount("top", unionfs.MountOptions{})
	if err != nil {
		t.Fatalf("Mount(top): %v", err)
	}
	b, err := d.Mount("top", unionfs.MountOptions{})
	if err != nil {
		t.Fatalf("Mount(top) again: %v", err)
	}
	if a.Path != b.Path {
		t.Errorf("two mounts of one layer at %s and %s; want one place", a.Path, b.Path)
	}
	if err := errors.Join(a.Release(), a.Release()); err != nil {
		t.Errorf("Release twice: %v", err)
	}
	write(t, filepath.Join(b.Path, "still"), "mounted")
	if mountCount(t) > before {
		if err := d.Remove("top"); !errors.Is(err, unix.EBUSY) {
			t.Errorf("Remove of a mounted layer = %v; want EBUSY", err)
		}
	}
	if err := b.Release(); err != nil {
		t.Errorf("last Release: %v", err)
	}
	if n := mountCount(t); n != before {
		t.Errorf("%d mounts after the last Release; want %d as before", n, before)
	}
	with(t, d, "top", func(root string) {
		if _, err := os.Stat(filepath.Join(root, "still")); err != nil {
			t.Errorf("written file after remounting: %v", err)
		}
	})
}

func mountCount(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}

// sparse checks that holes survive a layer's tar.
func (c Case) sparse(t *testing.T) {
	const size = 8 << 20
	d, _ := c.open(t)
	create(t, d, "bottom", "")
	with(t, d, "bottom", func(root string) {
		f, err := os.Create(filepath.Join(root, "holes"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		_, err = f.WriteAt([]byte("middle"), size/2)
		if err := errors.Join(err, f.Truncate(size)); err != nil {
			t.Fatal(err)
		}
	})
	c.apply(t, d, "copy", "", diff(t, d, "bottom", ""))
	create(t, d, "above", "copy")
	for _, id := range []string{"copy", "above"} {
		with(t, d, id, func(root string) {
			fi, err := os.Stat(filepath.Join(root, "holes"))
			if err != nil {
				t.Fatal(err)
			}
			used := fi.Sys().(*syscall.Stat_t).Blocks * 512
			if fi.Size() != size || used > size/4 {
				t.Errorf("%s: file of holes has size %d and uses %d bytes; want %d and less than %d", id, fi.Size(), used, size, size/4)
			}
		})
	}
}

// size checks the accounting of a layer against numbers known beforehand.
func (c Case) size(t *testing.T) {
	d, _ := c.open(t)
	create(t, d, "bottom", "")
	with(t, d, "bottom", func(root string) { write(t, filepath.Join(root, "big"), strings.Repeat("b", 100_000)) })
	create(t, d, "top", "bottom")
	with(t, d, "top", func(root string) {
		write(t, filepath.Join(root, "one"), strings.Repeat("1", 5000))
		write(t, filepath.Join(root, "two"), strings.Repeat("2", 300))
		if err := os.Link(filepath.Join(root, "one"), filepath.Join(root, "one again")); err != nil {
			t.Fatal(err)
		}
	})
	for _, want := range []struct {
		id, parent string
		size       int64
	}{{"bottom", "", 100_000}, {"top", "bottom", 5300}} {
		if got, err := d.DiffSize(want.id, want.parent); err != nil || got != want.size {
			t.Errorf("DiffSize(%s, %s) = %d, %v; want %d", want.id, want.parent, got, err, want.size)
		}
	}
}

// limit checks that a size limit holds, or is refused in so many words.
func (c Case) limit(t *testing.T) {
	d, _ := c.open(t)
	create(t, d, "bottom", "")
	const most = 4 << 20
	err := d.Create("small", "bottom", unionfs.CreateOptions{Size: most})
	if errors.Is(err, errors.ErrUnsupported) {
		if d.Exists("small") {
			t.Error("the layer exists although its limit was refused")
		}
		t.Skipf("this machine lacks a size limit for this driver: %v", err)
	}
	if err != nil {
		t.Fatalf("Create with Size: %v", err)
	}
	with(t, d, "small", func(root string) {
		err := os.WriteFile(filepath.Join(root, "fits"), make([]byte, most/4), 0o644)
		if err != nil {
			t.Errorf("write within the limit: %v", err)
		}
		data := bytes.Repeat([]byte("x"), 4*most)
		err = errors.Join(os.WriteFile(filepath.Join(root, "large"), data, 0o644), syncAt(root))
		if !errors.Is(err, unix.EDQUOT) && !errors.Is(err, unix.ENOSPC) {
			t.Errorf("write beyond the limit = %v; want EDQUOT or ENOSPC", err)
		}
	})
}

func syncAt(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// hostile checks that a layer which reaches out is refused and that nothing
// outside changed; what exactly is refused is layertar's own test.
func (c Case) hostile(t *testing.T) {
	d, _ := c.open(t)
	outside := filepath.Join(TempDir(t), "target")
	write(t, outside, "untouched")
	for i, h := range []tar.Header{
		{Name: "../" + filepath.Base(outside), Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: outside, Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "l", Typeflag: tar.TypeLink, Linkname: "../../../../../../../.." + outside},
	} {
		id := fmt.Sprintf("bad%d", i)
		create(t, d, id, "")
		var b bytes.Buffer
		tw := tar.NewWriter(&b)
		tw.WriteHeader(&h)
		tw.Close()
		if _, err := d.Apply(id, &b, layertar.Limits{}); err == nil {
			t.Errorf("Apply of a layer with entry %q -> %q = nil; want an error", h.Name, h.Linkname)
		}
	}
	if b, _ := os.ReadFile(outside); string(b) != "untouched" {
		t.Errorf("file outside of the store = %q; want it untouched", b)
	}
}

// deep builds a tall stack and reads a file of every layer through the top.
func (c Case) deep(t *testing.T) {
	d, _ := c.open(t)
	parent := ""
	for i := range c.Depth {
		id := fmt.Sprintf("deep%03d", i)
		create(t, d, id, parent)
		name := fmt.Sprintf("f%03d", i)
		if _, err := d.Apply(id, oneFile(t, name), layertar.Limits{}); err != nil {
			t.Fatalf("Apply(%s): %v", id, err)
		}
		parent = id
	}
	create(t, d, "container", parent)
	with(t, d, "container", func(root string) {
		entries, err := os.ReadDir(root)
		if err != nil || len(entries) != c.Depth {
			t.Errorf("%d files through %d layers, %v; want %d", len(entries), c.Depth, err, c.Depth)
		}
		write(t, filepath.Join(root, "f000"), "copied up from the bottom")
	})
	if c.TooDeep == 0 {
		return
	}
	for i := c.Depth; i < c.TooDeep; i++ {
		id := fmt.Sprintf("deep%03d", i)
		create(t, d, id, parent)
		parent = id
	}
	if err := d.Create("toodeep", parent, unionfs.CreateOptions{}); err == nil {
		t.Errorf("Create on %d layers = nil; want an error", c.TooDeep)
	}
	with(t, d, parent, func(string) {})
}

func oneFile(t *testing.T, name string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	err := tw.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(name)), Mode: 0o644})
	if err == nil {
		_, err = tw.Write([]byte(name))
	}
	if err := errors.Join(err, tw.Close()); err != nil {
		t.Fatal(err)
	}
	return &b
}

func listTar(t *testing.T, data []byte) []string {
	t.Helper()
	var list []string
	for tr := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatalf("read the driver's tar: %v", err)
		}
		list = append(list, fmt.Sprintf("%s %c %o %d:%d %d %s %v %q", h.Name, h.Typeflag, h.Mode, h.Uid, h.Gid, h.Size, h.Linkname, h.ModTime.UnixNano(), h.PAXRecords))
	}
}
