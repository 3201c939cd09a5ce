package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cutaway/unionfs/contract"
	"cutaway/unionfs/image"
)

type saveFunc func(*image.Store, io.Writer, []image.Wanted) error

var formats = map[string]saveFunc{
	"docker": (*image.Store).Save,
	"oci":    (*image.Store).SaveLayout,
}

func save(t testing.TB, s *image.Store, how saveFunc, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := how(s, &b, must2(s.Select(names))(t)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zip(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSaveLoad(t *testing.T) {
	for name, how := range formats {
		t.Run(name, func(t *testing.T) {
			from, to := newStore(t), newStore(t)
			img := build(t, from, "demo/app:v1")
			archive := save(t, from, how, "demo/app:v1")
			loaded := must2(to.Load(bytes.NewReader(zip(t, archive))))(t)
			if len(loaded) != 1 || loaded[0].Image.ImageID != img.ImageID || loaded[0].Names[0].Name() != "demo/app:v1" {
				t.Fatalf("Load = %+v; want one image %s named demo/app:v1", loaded, img.ImageID)
			}
			if got := must2(to.Resolve("demo/app:v1"))(t); got.ImageID != img.ImageID {
				t.Errorf("Resolve = %s; want %s", got.ImageID, img.ImageID)
			}
			if again := save(t, to, how, "demo/app:v1"); !bytes.Equal(again, archive) {
				t.Error("saved again, the archive has other bytes")
			}
			if left := must2(os.ReadDir(filepath.Join(to.Root(), "tmp")))(t); len(left) > 0 {
				t.Errorf("tmp holds %v; want nothing", left)
			}
		})
	}
}

// TestForeignTar keeps a tar that our own writer would never write byte for
// byte: USTAR and GNU headers, odd order, padding at the end.
func TestForeignTar(t *testing.T) {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "./", Typeflag: tar.TypeDir, Mode: 0o40755, Format: tar.FormatGNU},
		{Name: "./z", Typeflag: tar.TypeReg, Mode: 0o100644, Size: 3, Uname: "root", Format: tar.FormatGNU},
		{Name: "./a/b/c/", Typeflag: tar.TypeDir, Mode: 0o755, Format: tar.FormatUSTAR},
		{Name: "./" + strings.Repeat("long/", 60) + "x", Typeflag: tar.TypeReg, Size: 3, Format: tar.FormatGNU},
	} {
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		tw.Write([]byte("abc")[:h.Size])
	}
	tw.Close()
	b.Write(make([]byte, 10240))
	s := newStore(t)
	l := must2(s.Register(bytes.NewReader(zip(t, b.Bytes())), image.RegisterOptions{}))(t)
	var out bytes.Buffer
	if err := s.WriteLayer(&out, l); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), b.Bytes()) {
		t.Errorf("WriteLayer gave %d bytes, other than the %d registered", out.Len(), b.Len())
	}
}

func TestImportExport(t *testing.T) {
	from, to := newStore(t), newStore(t)
	img := build(t, from, "app")
	must2(from.CreateRoot("c", img, noSize))(t)
	var whole bytes.Buffer
	if err := from.WriteRoot("c", &whole); err != nil {
		t.Fatal(err)
	}
	flat := must2(to.Import(&whole, image.ImportOptions{Created: epoch, Source: "-"}))(t)
	if len(flat.RootFS.DiffIDs) != 1 || flat.Comment != "Imported from -" {
		t.Errorf("imported image has %d layers and comment %q; want 1 and \"Imported from -\"", len(flat.RootFS.DiffIDs), flat.Comment)
	}
	if err := from.RemoveRoot("c"); err != nil {
		t.Error(err)
	}
}

// TestBadArchives: whatever is wrong with an archive, the store is afterwards as
// it was before.
func TestBadArchives(t *testing.T) {
	from := newStore(t)
	build(t, from, "app:v1")
	for name, how := range formats {
		good := save(t, from, how, "app:v1")
		for what, bad := range map[string][]byte{
			"truncated":       good[:len(good)/2],
			"gzip truncated":  zip(t, good)[:len(good)/40],
			"empty":           {},
			"not a tar":       []byte(strings.Repeat("nonsense ", 500)),
			"changed content": bytes.Replace(good, []byte("<p><p>"), []byte("<q><p>"), 1),
			"changed config":  bytes.Replace(good, []byte(`"PATH=/bin"`), []byte(`"PATH=/hax"`), -1),
			"other diff id":   swapDiffID(good),
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				to := newStore(t)
				before := listing(t, to.Root())
				loaded, err := to.Load(bytes.NewReader(bad))
				if what == "changed config" && name == "docker" {
					// Nothing vouches for it there: it is just another image.
					if err != nil || loaded[0].Image.ImageID == must2(from.Resolve("app:v1"))(t).ImageID {
						t.Errorf("Load = %v, %v; want an image with another id", loaded, err)
					}
					return
				}
				if err == nil {
					t.Errorf("Load of an archive that is %s = nil; want an error", what)
				}
				if after := listing(t, to.Root()); after != before {
					t.Errorf("store after a refused archive:\n%swant as before:\n%s", after, before)
				}
			})
		}
	}
}

// swapDiffID changes one digit of the first diff id in the configuration.
func swapDiffID(archive []byte) []byte {
	i := bytes.Index(archive, []byte(`"diff_ids":["sha256:`)) + len(`"diff_ids":["sha256:`)
	bad := bytes.Clone(archive)
	bad[i] = "10"[bad[i]&1]
	if bad[i] == archive[i] {
		bad[i] ^= 1
	}
	return bad
}

// TestFullDisk loads an image onto a disk that is too small for it.
func TestFullDisk(t *testing.T) {
	from := newStore(t)
	b := from.NewBuilder(nil, epoch)
	b.AddFiles("small", []image.File{{Name: "small", Mode: 0o644, Data: []byte("s")}})
	b.AddFiles("big", []image.File{{Name: "big", Mode: 0o644, Data: bytes.Repeat([]byte("big!"), 1<<20)}})
	img := must2(b.Commit())(t)
	archive := save(t, from, (*image.Store).Save, img.ImageID.String())

	dir := contract.TempDir(t)
	contract.Command(t, "mount", "-t", "tmpfs", "-o", "size=6m", "cutaway", dir)
	t.Cleanup(func() { contract.Command(t, "umount", dir) })
	to := openStore(t, dir)
	before := listing(t, dir)
	if _, err := to.Load(bytes.NewReader(archive)); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Load onto a full disk = %v; want ENOSPC", err)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("store after a full disk:\n%swant as before:\n%s", after, before)
	}
}
