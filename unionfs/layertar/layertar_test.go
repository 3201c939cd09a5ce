package layertar_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/layertar"
)

func TestMain(m *testing.M) { contract.Main(m, nil) }

// entries makes a tar of headers; a regular file's content is its Linkname,
// which files have no other use for.
func entries(t testing.TB, list ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, h := range list {
		content := ""
		if h.Typeflag == tar.TypeReg || h.Typeflag == 0 {
			content, h.Linkname, h.Typeflag = h.Linkname, "", tar.TypeReg
			h.Size = int64(len(content))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(tw, content)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func apply(t testing.TB, root string, data []byte, form layertar.Form) error {
	t.Helper()
	_, err := layertar.Apply(root, bytes.NewReader(data), layertar.ApplyOptions{Form: form})
	return err
}

// tree lists a folder in words: name, kind, content.
func tree(t testing.TB, root string) string {
	t.Helper()
	var list []string
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		switch d.Type() {
		case 0:
			b, _ := os.ReadFile(path)
			rel += "=" + string(b)
		case fs.ModeDir:
			rel += "/"
			if n, _ := unix.Lgetxattr(path, "trusted.overlay.opaque", make([]byte, 9)); n > 0 {
				rel += "(opaque)"
			}
		case fs.ModeSymlink:
			to, _ := os.Readlink(path)
			rel += "->" + to
		default:
			rel += fmt.Sprintf("(%s)", d.Type())
		}
		list = append(list, rel)
		return nil
	})
	return strings.Join(list, " ")
}

// TestHostile: what a layer may not do. Beside the root stands a victim that
// must come out of everything untouched.
func TestHostile(t *testing.T) {
	needs.Root(t)
	up := strings.Repeat("../", 30)
	for what, list := range map[string][]tar.Header{
		"climbs out":                     {{Name: "../victim/f", Linkname: "x"}},
		"climbs out further in":          {{Name: "a/../../victim/f", Linkname: "x"}},
		"absolute name":                  {{Name: "/tmp/x", Linkname: "x"}},
		"ends in ..":                     {{Name: "a/", Typeflag: tar.TypeDir}, {Name: "a/..", Linkname: "x"}},
		"hard link out":                  {{Name: "l", Typeflag: tar.TypeLink, Linkname: "../victim/f"}},
		"hard link to an absolute path":  {{Name: "l", Typeflag: tar.TypeLink, Linkname: "/etc/shadow"}},
		"hard link to nothing":           {{Name: "l", Typeflag: tar.TypeLink, Linkname: "nothing"}},
		"hard link to a folder":          {{Name: "d/", Typeflag: tar.TypeDir}, {Name: "l", Typeflag: tar.TypeLink, Linkname: "d"}},
		"file below a file":              {{Name: "f", Linkname: "x"}, {Name: "f/g", Linkname: "x"}},
		"symbolic link loop as a folder": {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "l"}, {Name: "l/f", Linkname: "x"}},
		"whiteout of ..":                 {{Name: ".wh...", Linkname: ""}},
		"whiteout of .":                  {{Name: ".wh..", Linkname: ""}},
		"whiteout of nothing":            {{Name: ".wh.", Linkname: ""}},
		"root as a file":                 {{Name: "./", Typeflag: tar.TypeSymlink, Linkname: "x"}},
		"unknown entry type":             {{Name: "x", Typeflag: 'Z'}},
		"overlay attribute":              {{Name: "x", PAXRecords: map[string]string{"SCHILY.xattr.trusted.overlay.redirect": "/" + up}}},
		"overlay user attribute":         {{Name: "x", PAXRecords: map[string]string{"SCHILY.xattr.user.overlay.redirect": "/"}}},
		"a whiteout in disguise":         {{Name: "etc", Typeflag: tar.TypeChar}},
		"component too long":             {{Name: strings.Repeat("n", 256), Linkname: "x"}},
	} {
		t.Run(what, func(t *testing.T) {
			dir := contract.TempDir(t)
			root, victim := filepath.Join(dir, "root"), filepath.Join(dir, "victim")
			os.Mkdir(root, 0o755)
			os.Mkdir(victim, 0o755)
			os.WriteFile(victim+"/f", []byte("untouched"), 0o644)
			if err := apply(t, root, entries(t, list...), layertar.Overlay); err == nil {
				t.Errorf("Apply = nil, tree %s; want an error", tree(t, root))
			}
			if got := tree(t, victim); got != "f=untouched" {
				t.Errorf("outside of the root: %s; want f=untouched", got)
			}
		})
	}
}

// TestLinksStayInside: links that would lead out of the root lead to a place
// inside it, as for a process that has it as "/".
func TestLinksStayInside(t *testing.T) {
	needs.Root(t)
	dir := contract.TempDir(t)
	root := filepath.Join(dir, "root")
	os.Mkdir(root, 0o755)
	os.Mkdir(dir+"/victim", 0o755)
	data := entries(t,
		tar.Header{Name: "victim/", Typeflag: tar.TypeDir},
		tar.Header{Name: "abs", Typeflag: tar.TypeSymlink, Linkname: "/victim"},
		tar.Header{Name: "rel", Typeflag: tar.TypeSymlink, Linkname: "../../../victim"},
		tar.Header{Name: "abs/a", Linkname: "1"},
		tar.Header{Name: "rel/b", Linkname: "2"},
		tar.Header{Name: "abs/.wh.a"},
	)
	if err := apply(t, root, data, layertar.Execute); err != nil {
		t.Fatal(err)
	}
	if got, want := tree(t, dir), "root/ root/abs->/victim root/rel->../../../victim root/victim/ root/victim/a=1 root/victim/b=2 victim/"; got != want {
		t.Errorf("tree = %s; want %s", got, want)
	}
}

// TestRace swaps a folder for a link to the victim, back and forth, while a
// layer is unpacked into it.
func TestRace(t *testing.T) {
	needs.Root(t)
	dir := contract.TempDir(t)
	root, victim := filepath.Join(dir, "root"), filepath.Join(dir, "victim")
	os.Mkdir(victim, 0o755)
	os.MkdirAll(root+"/d/e", 0o755)
	var list []tar.Header
	for i := range 400 {
		// A new folder each time, so that the descriptor is not a kept one.
		list = append(list, tar.Header{Name: fmt.Sprintf("d/e/%d/f", i), Linkname: "x"}, tar.Header{Name: fmt.Sprintf("d/e/%d/.wh.f", i)})
	}
	data := entries(t, list...)
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			os.Rename(root+"/d/e", root+"/d/away")
			os.Symlink(victim, root+"/d/e")
			os.Remove(root + "/d/e")
			os.Rename(root+"/d/away", root+"/d/e")
		}
	}()
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		apply(t, root, data, layertar.Execute) // may fail; may not reach out
	}
	stop.Store(true)
	<-done
	if got := tree(t, victim); got != "" {
		t.Errorf("outside of the root: %s; want nothing", got)
	}
}

// TestForms applies one layer in the three forms.
func TestForms(t *testing.T) {
	needs.Root(t)
	layer := entries(t,
		tar.Header{Name: "etc/", Typeflag: tar.TypeDir},
		tar.Header{Name: "etc/.wh.gone"},
		tar.Header{Name: "etc/new", Linkname: "n"},
		tar.Header{Name: "srv/", Typeflag: tar.TypeDir},
		tar.Header{Name: "srv/fresh", Linkname: "f"},
		tar.Header{Name: "srv/.wh..wh..opq"},
		tar.Header{Name: ".wh.again"},
		tar.Header{Name: "again/", Typeflag: tar.TypeDir},
		tar.Header{Name: "again/x", Linkname: "x"},
		tar.Header{Name: ".wh..wh.plnk"},
	)
	for form, want := range map[layertar.Form]string{
		layertar.Execute: "again/ again/x=x etc/ etc/kept=k etc/new=n srv/ srv/fresh=f",
		layertar.Overlay: "again/(opaque) again/old=o again/x=x etc/ etc/gone(Dc---------) etc/kept=k etc/new=n srv/(opaque) srv/fresh=f srv/old/ srv/old/o=o",
		layertar.AUFS:    ".wh..wh.plnk= .wh.again= again/ again/old=o again/x=x etc/ etc/.wh.gone= etc/gone=g etc/kept=k etc/new=n srv/ srv/.wh..wh..opq= srv/fresh=f srv/old/ srv/old/o=o",
	} {
		root := contract.TempDir(t)
		below := entries(t, tar.Header{Name: "etc/gone", Linkname: "g"}, tar.Header{Name: "etc/kept", Linkname: "k"},
			tar.Header{Name: "srv/old/o", Linkname: "o"}, tar.Header{Name: "again/old", Linkname: "o"})
		if err := apply(t, root, below, layertar.AUFS); err != nil {
			t.Fatal(err)
		}
		if form == layertar.Overlay { // the whiteout removes what stands in this one folder
			want = strings.Replace(want, " again/old=o", "", 1)
		}
		if err := apply(t, root, layer, form); err != nil {
			t.Fatal(err)
		}
		if got := tree(t, root); got != want {
			t.Errorf("form %d: tree = %s; want %s", form, got, want)
		}
	}
}

// TestLimits: bombs of bytes, of entries and of compression.
func TestLimits(t *testing.T) {
	needs.Root(t)
	data := entries(t, tar.Header{Name: "a", Linkname: "12345"}, tar.Header{Name: "b", Linkname: "12345"})
	for _, lim := range []layertar.Limits{{Bytes: 9}, {Entries: 1}} {
		_, err := layertar.Apply(contract.TempDir(t), bytes.NewReader(data), layertar.ApplyOptions{Limits: lim})
		if !errors.Is(err, layertar.ErrLimit) {
			t.Errorf("Apply with %+v = %v; want ErrLimit", lim, err)
		}
	}
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	for range 300 {
		zip.Write(make([]byte, 1<<20))
	}
	zip.Close()
	packed := bytes.NewReader(bomb.Bytes())
	unzip, _ := gzip.NewReader(packed)
	r := layertar.RatioReader(unzip, func() int64 { return packed.Size() - int64(packed.Len()) }, layertar.Limits{Ratio: 100})
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, layertar.ErrLimit) || n > 80<<20 {
		t.Errorf("a bomb of 300 MiB: %d bytes passed, %v; want ErrLimit soon after 64 MiB", n, err)
	}
}

// TestDamaged cuts and spoils a tar at every 100th byte: it must fail or give a
// part, never panic or hang.
func TestDamaged(t *testing.T) {
	needs.Root(t)
	good := entries(t, tar.Header{Name: "d/", Typeflag: tar.TypeDir}, tar.Header{Name: "d/f", Linkname: strings.Repeat("x", 3000)},
		tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "d"}, tar.Header{Name: "d/.wh.g"})
	for i := 0; i < len(good)-1024; i += 100 {
		// At the boundary of an entry a cut tar cannot be told from a whole one.
		if err := apply(t, contract.TempDir(t), good[:i], layertar.Execute); err == nil && i%512 != 0 {
			t.Errorf("Apply of the first %d bytes = nil; want an error", i)
		}
		bad := bytes.Clone(good)
		bad[i] ^= 0x55
		apply(t, contract.TempDir(t), bad, layertar.Execute)
	}
}

// TestWithoutRight applies device nodes in a user namespace, where mknod(2) is
// refused.
func TestWithoutRight(t *testing.T) {
	needs.Root(t)
	if os.Getenv("CUTAWAY_LAYERTAR_USERNS") != "" {
		err := apply(t, os.Getenv("CUTAWAY_LAYERTAR_USERNS"), entries(t, tar.Header{Name: "sda", Typeflag: tar.TypeBlock, Devmajor: 8}), layertar.Execute)
		if !errors.Is(err, unix.EPERM) {
			t.Errorf("Apply of a block device = %v; want EPERM", err)
		}
		return
	}
	dir := contract.TempDir(t)
	cmd := exec.Command("unshare", "-U", "-r", "/proc/self/exe")
	exe, _ := os.Executable()
	cmd.Args = []string{"unshare", "-U", "-r", exe, "-test.run=TestWithoutRight"}
	cmd.Env = append(os.Environ(), "CUTAWAY_LAYERTAR_USERNS="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("in a user namespace: %v\n%s", err, out)
	}
}

func FuzzApply(f *testing.F) {
	f.Add(entries(f, tar.Header{Name: "d/", Typeflag: tar.TypeDir}, tar.Header{Name: "d/f", Linkname: "x"}))
	f.Add(entries(f, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/victim"}, tar.Header{Name: "l/f", Linkname: "x"}))
	f.Add(entries(f, tar.Header{Name: "a", Linkname: "x"}, tar.Header{Name: "b", Typeflag: tar.TypeLink, Linkname: "a"}, tar.Header{Name: ".wh.a"}))
	f.Add(entries(f, tar.Header{Name: "p", Typeflag: tar.TypeFifo}, tar.Header{Name: "d/.wh..wh..opq"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		root, victim := filepath.Join(dir, "root"), filepath.Join(dir, "victim")
		os.Mkdir(root, 0o755)
		os.Mkdir(victim, 0o755)
		for _, form := range []layertar.Form{layertar.Execute, layertar.Overlay, layertar.AUFS} {
			layertar.Apply(root, bytes.NewReader(data), layertar.ApplyOptions{Form: form, Limits: layertar.Limits{Bytes: 1 << 20, Entries: 200}})
		}
		if list, _ := os.ReadDir(dir); len(list) != 2 {
			t.Errorf("beside root and victim: %v", list)
		}
		if got := tree(t, victim); got != "" {
			t.Errorf("outside of the root: %s", got)
		}
	})
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"a/b", "../a", "/", "./", "a//b/", "a/../b", "", ".wh.x", "a\x00b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := layertar.CleanName(s)
		if err == nil && !filepath.IsLocal(name) {
			t.Errorf("CleanName(%q) = %q, which is not local", s, name)
		}
	})
}
