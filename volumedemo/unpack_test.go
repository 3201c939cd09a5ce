package volumedemo

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
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

// FuzzUnpack makes archives from lines "type name target": mutated bytes of an
// archive would hardly ever get past its checksums.
func FuzzUnpack(f *testing.F) {
	f.Add("2 a ..\n0 a/b -")
	f.Add("5 a -\n1 a/b ../../x\n2 c a\n5 c -\n6 p -\n0 p -")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		own, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(own)
		if err := os.Mkdir(own+"/in", 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(own + "/in")
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		archive, ok := archiveFrom(text)
		if !ok {
			return
		}
		_ = Unpack(root, archive)
		if beside, _ := os.ReadDir(own); len(beside) != 1 {
			t.Errorf("something was made beside the folder: %v", beside)
		}
	})
}

func archiveFrom(text string) (*bytes.Buffer, bool) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for line := range strings.Lines(text) {
		var kind, name, target string
		if n, _ := fmt.Sscan(line, &kind, &name, &target); n != 3 {
			return nil, false
		}
		h := tar.Header{Typeflag: kind[0], Name: name, Linkname: target, Mode: 0o700, Uid: os.Getuid(), Gid: os.Getgid()}
		if w.WriteHeader(&h) != nil {
			return nil, false
		}
	}
	return &b, w.Close() == nil
}
