package volumedemo

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"
)

var stamp = time.Unix(1_600_000_000, 123_456_789)

func archiveOf(t testing.TB, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		h.Uid, h.Gid = os.Getuid(), os.Getgid()
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// A hostile archive tries to write beside the folder: by its names, by symlinks
// that it brings, and by hard links.
func TestUnpackStaysBelowTheFolder(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	for name, headers := range map[string][]tar.Header{
		"dots":            {file("../evil")},
		"absolute":        {file("/evil")},
		"symlink":         {link("out", ".."), file("out/evil")},
		"absolutesymlink": {link("out", "/tmp"), file("out/cutaway-evil")},
		"hardlink":        {{Typeflag: tar.TypeLink, Name: "pw", Linkname: "../secret"}},
		"foldersymlink":   {link("out", ".."), {Typeflag: tar.TypeDir, Name: "out/evil", Mode: 0o755}},
	} {
		dir := t.TempDir()
		must(t, os.Mkdir(dir+"/in", 0o755), os.WriteFile(dir+"/secret", nil, 0o600))
		root, err := os.OpenRoot(dir + "/in")
		must(t, err)
		if err := Unpack(root, archiveOf(t, headers...)); err == nil {
			t.Errorf("%s: Unpack succeeded", name)
		}
		must(t, root.Close())
		for _, path := range []string{dir + "/evil", "/evil", "/tmp/cutaway-evil", dir + "/in/pw"} {
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s exists", name, path)
			}
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archiveOf(f, tar.Header{Typeflag: tar.TypeReg, Name: "a/b", Mode: 0o644}).Bytes())
	f.Add(archiveOf(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "../x"}, tar.Header{Typeflag: tar.TypeDir, Name: "a/b"}).Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(dir+"/in", 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir + "/in")
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		_ = Unpack(root, bytes.NewReader(raw))
		if beside, _ := os.ReadDir(dir); len(beside) != 1 {
			t.Errorf("something was made beside the folder: %v", beside)
		}
	})
}
