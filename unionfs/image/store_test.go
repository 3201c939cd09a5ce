package image_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"cutaway/internal/needs"
	"cutaway/unionfs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver/overlay2"
	"cutaway/unionfs/image"
)

func openDriver(home string) (unionfs.Driver, error) {
	return overlay2.Open(home, overlay2.Options{Parameters: "/sys/module/overlay/parameters"})
}

var epoch = time.Unix(1_700_000_000, 0)

// newStore opens a store in a folder of its own.
func newStore(t testing.TB) *image.Store {
	t.Helper()
	needs.Root(t)
	return openStore(t, contract.TempDir(t))
}

func openStore(t testing.TB, root string) *image.Store {
	t.Helper()
	d, err := openDriver(filepath.Join(root, "overlay2"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := image.Open(root, d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func ref(t testing.TB, s string) image.Reference {
	t.Helper()
	return must2(image.ParseReference(s))(t)
}

func must2[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		return must(t, v, err)
	}
}

// build makes an image of three layers with a deletion, an opaque folder made
// anew, a link and an empty step.
func build(t testing.TB, s *image.Store, name string) *image.Image {
	t.Helper()
	b := s.NewBuilder(nil, epoch)
	b.Platform("amd64", "linux")
	b.AddFiles("ADD base", []image.File{
		{Name: "bin/sh", Mode: 0o755, Data: []byte("#!shell")},
		{Name: "bin/ls", Link: "sh", Mode: fs.ModeSymlink},
		{Name: "bin/cat", Link: "bin/sh", HardLink: true},
		{Name: "etc/motd", Mode: 0o644, Data: []byte("hello\n")},
		{Name: "tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
	})
	b.AddFiles("RUN rm /etc/motd", []image.File{
		{Name: "etc/motd", Delete: true},
		{Name: "etc/issue", Mode: 0o600, Data: []byte("issue"), Owner: [2]int{1, 2}},
	})
	b.Empty(`CMD ["sh"]`, func(c *image.Config) { c.Cmd = []string{"sh"}; c.Env = []string{"PATH=/bin"} })
	b.AddFiles("ADD www", []image.File{{Name: "srv/www/index.html", Mode: 0o644, Data: bytes.Repeat([]byte("<p>"), 5000)}})
	img := must2(b.Commit())(t)
	if name != "" {
		if err := s.Tag(ref(t, name), img.ImageID); err != nil {
			t.Fatal(err)
		}
	}
	return img
}

// listing is every path below root with its size, for "the store is as it was".
// Folders that an empty store has anyway are in it too.
func listing(t testing.TB, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			b.WriteString(strings.TrimPrefix(path, root) + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestChainID(t *testing.T) {
	// The example of the OCI image specification's config.md in numbers:
	// echo -n "sha256:<a> sha256:<b>" | sha256sum
	a, b := digest.FromString("a"), digest.FromString("b")
	want := digest.FromString(a.String() + " " + b.String())
	if got := image.ChainID([]digest.Digest{a, b}); got != want {
		t.Errorf("ChainID(a, b) = %s; want %s", got, want)
	}
	if got := image.ChainID([]digest.Digest{a}); got != a {
		t.Errorf("ChainID(a) = %s; want the diff id %s", got, a)
	}
	if got := image.ChainID(nil); got != "" {
		t.Errorf("ChainID() = %q; want none", got)
	}
}

// TestLayout follows an image from its name to its files, by reading the disk.
func TestLayout(t *testing.T) {
	s := newStore(t)
	img := build(t, s, "demo/app:v1")
	dir := filepath.Join(s.Root(), "image/overlay2")
	read := func(parts ...string) string {
		t.Helper()
		return string(must2(os.ReadFile(filepath.Join(append([]string{dir}, parts...)...)))(t))
	}
	want := `{"Repositories":{"demo/app":{"demo/app:v1":"` + img.ImageID.String() + `"}}}`
	if got := read("repositories.json"); got != want {
		t.Errorf("repositories.json = %s; want %s", got, want)
	}
	raw := read("imagedb/content/sha256", img.ImageID.Encoded())
	if digest.FromString(raw) != img.ImageID {
		t.Errorf("imagedb content has the digest %s; want its name %s", digest.FromString(raw), img.ImageID)
	}
	parent := digest.Digest("")
	for _, diff := range img.RootFS.DiffIDs {
		chain := image.NextChainID(parent, diff)
		entry := []string{"layerdb/sha256", chain.Encoded()}
		if got := read(append(entry, "diff")...); got != diff.String() {
			t.Errorf("layerdb diff = %s; want %s", got, diff)
		}
		if parent != "" && read(append(entry, "parent")...) != parent.String() {
			t.Errorf("layerdb parent of %s is not %s", chain, parent)
		}
		cache := read(append(entry, "cache-id")...)
		if _, err := os.Stat(filepath.Join(s.Root(), "overlay2", cache, "diff")); err != nil {
			t.Error(err)
		}
		parent = chain
	}
}

func TestBuilderIsReproducible(t *testing.T) {
	a, b := newStore(t), newStore(t)
	x, y := build(t, a, ""), build(t, b, "")
	if x.ImageID != y.ImageID {
		t.Errorf("two builds of the same steps gave %s and %s; want one id", x.ImageID, y.ImageID)
	}
	steps := must2(a.Steps(x))(t)
	if len(steps) != 4 || steps[0].CreatedBy != "ADD www" || steps[0].Size != 15000 || steps[1].Size != 0 {
		t.Errorf("Steps() = %+v; want 4, the newest first, ADD www with 15000 bytes, CMD with none", steps)
	}
}

func TestContainerDiffCommit(t *testing.T) {
	s := newStore(t)
	img := build(t, s, "app")
	before := listing(t, filepath.Join(s.Root(), "overlay2"))
	must2(s.CreateRoot("c1", img, unionfs.CreateOptions{}))(t)
	m := must2(s.MountRoot("c1"))(t)
	for _, name := range []string{"etc/hosts", "etc/resolv.conf", "dev/console", "etc/issue", "bin/sh"} {
		if _, err := os.Lstat(filepath.Join(m.Path, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(filepath.Join(m.Path, "etc/motd")); err == nil {
		t.Error("etc/motd is in the container; want it deleted by the second layer")
	}
	os.WriteFile(filepath.Join(m.Path, "etc/issue"), []byte("changed"), 0o600)
	os.WriteFile(filepath.Join(m.Path, "new"), []byte("new"), 0o600)
	os.Remove(filepath.Join(m.Path, "bin/ls"))
	if err := m.Release(); err != nil {
		t.Error(err)
	}
	var got []string
	for _, c := range must2(s.Changes("c1"))(t) {
		got = append(got, c.String())
	}
	if want := "C /bin, D /bin/ls, C /etc, C /etc/issue, A /new"; strings.Join(got, ", ") != want {
		t.Errorf("Changes(c1) = %s; want %s", strings.Join(got, ", "), want)
	}
	made := must2(s.Commit("c1", img, image.CommitOptions{Author: "me", Created: epoch, Command: "sh"}))(t)
	n := len(img.RootFS.DiffIDs)
	if len(made.RootFS.DiffIDs) != n+1 || !strings.HasPrefix(join(made.RootFS.DiffIDs), join(img.RootFS.DiffIDs)) {
		t.Errorf("committed image has the layers %v; want those of its base plus one", made.RootFS.DiffIDs)
	}
	if size := must2(s.Layer(made.ChainID()))(t).Size; size != int64(len("changed")+len("new")) {
		t.Errorf("committed layer has %d bytes; want just the change", size)
	}
	if parent := must2(s.Parent(made.ImageID))(t); parent != img.ImageID {
		t.Errorf("Parent = %s; want %s", parent, img.ImageID)
	}
	if err := s.RemoveRoot("c1"); err != nil {
		t.Error(err)
	}
	must2(s.Remove(made.ImageID.String(), false, nobody))(t)
	after := listing(t, filepath.Join(s.Root(), "overlay2"))
	if after = strings.Replace(after, committedMark(after, before), "", 1); after != before {
		t.Errorf("driver's folder after removal:\n%s\nwant as before:\n%s", after, before)
	}
}

// committedMark is the file "committed" that the topmost image layer got when a
// container was put on it, as in Docker.
func committedMark(after, before string) string {
	for _, line := range strings.SplitAfter(after, "\n") {
		if strings.HasSuffix(line, "/committed\n") && !strings.Contains(before, line) {
			return line
		}
	}
	return ""
}

func join(ids []digest.Digest) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(id.String())
	}
	return b.String()
}

func nobody(digest.Digest) ([]image.Use, error) { return nil, nil }
