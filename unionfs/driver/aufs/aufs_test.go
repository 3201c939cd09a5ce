package aufs_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutaway/internal/needs"
	"cutaway/unionfs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver/aufs"
	"cutaway/unionfs/layertar"
)

// noMounter is for tests that never mount. The contract suite of this driver
// runs where the real Mounter is, in package driver.
type noMounter struct{}

func (noMounter) Mount(string, string) error { return os.ErrInvalid }
func (noMounter) Unmount(string) error       { return os.ErrInvalid }

func TestOptions(t *testing.T) {
	got, err := aufs.Options([]string{"/s/diff/c", "/s/diff/b", "/s/diff/a"}, false)
	if want := "br:/s/diff/c=rw:/s/diff/b=ro+wh:/s/diff/a=ro+wh,dio,xino=/dev/shm/aufs.xino"; err != nil || got != want {
		t.Errorf("Options = %q, %v; want %q", got, err, want)
	}
	if got, err := aufs.Options([]string{"/s/a:b"}, false); err == nil {
		t.Errorf("Options of a folder with a colon = %q; want an error", got)
	}
}

// TestLayout looks at the three folders before and after layers are made, and
// at a layer's tar on disk and back.
func TestLayout(t *testing.T) {
	needs.Root(t)
	home := contract.TempDir(t)
	d, err := aufs.Open(home, noMounter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range [][2]string{{"a", ""}, {"b", "a"}, {"c", "b"}} {
		if err := d.Create(l[0], l[1], unionfs.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(home, "layers/c")); string(b) != "b\na\n" {
		t.Errorf("layers/c = %q, %v; want b and a", b, err)
	}
	apply(t, d, "a", "etc/", "etc/motd", "etc/issue", "srv/", "srv/old")
	apply(t, d, "b", "etc/", "etc/.wh.motd", "srv/", "srv/.wh..wh..opq", "srv/new")
	apply(t, d, "c", "etc/", "etc/motd")
	if _, err := os.Lstat(filepath.Join(home, "diff/b/etc/.wh.motd")); err != nil {
		t.Error(err)
	}
	for _, c := range [][3]string{
		{"b", "a", "C /etc, D /etc/motd, C /srv, A /srv/new, D /srv/old"},
		{"c", "b", "C /etc, A /etc/motd"},
	} {
		list, err := d.Changes(c[0], c[1])
		var words []string
		for _, ch := range list {
			words = append(words, ch.String())
		}
		if got := strings.Join(words, ", "); err != nil || got != c[2] {
			t.Errorf("Changes(%s, %s) = %s, %v; want %s", c[0], c[1], got, err, c[2])
		}
	}
	var out bytes.Buffer
	if err := d.Diff("b", "a", &out); err != nil {
		t.Fatal(err)
	}
	if got := names(t, &out); got != "etc/ etc/.wh.motd srv/ srv/.wh..wh..opq srv/new" {
		t.Errorf("Diff(b, a) has the entries %s", got)
	}
	for _, id := range []string{"c", "b", "a"} {
		if err := d.Remove(id); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(home, "*/*")); len(left) > 0 {
		t.Errorf("after Remove: %v; want nothing", left)
	}
}

func apply(t *testing.T, d *aufs.Driver, id string, entries ...string) {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, name := range entries {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}
		if strings.HasSuffix(name, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	tw.Close()
	if _, err := d.Apply(id, &b, layertar.Limits{}); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, b *bytes.Buffer) string {
	t.Helper()
	var list []string
	tr := tar.NewReader(b)
	for h, err := tr.Next(); err == nil; h, err = tr.Next() {
		list = append(list, h.Name)
	}
	return strings.Join(list, " ")
}
