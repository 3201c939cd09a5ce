package builtin_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cutaway/internal/needs"
	"cutaway/internal/userland"
	"cutaway/minicontainer/builtin"
	"cutaway/minicontainer/storage"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/image"
)

// The test binary is the program inside the images here.
func TestMain(m *testing.M) {
	userland.Main()
	contract.Main(m, nil)
}

func open(t *testing.T, driver string) *image.Store {
	t.Helper()
	needs.Root(t)
	s, err := storage.Open(storage.Options{Root: contract.TempDir(t), Driver: driver})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ensure(t *testing.T, s *image.Store, name string) *image.Image {
	t.Helper()
	return ensureFrom(t, s, name, builtin.Find())
}

func ensureFrom(t *testing.T, s *image.Store, name string, from builtin.Sources) *image.Image {
	t.Helper()
	img, err := builtin.EnsureFrom(s, name, from)
	needs.That(t, !errors.Is(err, errors.ErrUnsupported), "a static test binary (CGO_ENABLED=0)")
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestImagesShareLayersAndAreReproducible(t *testing.T) {
	one, two := open(t, "overlay2"), open(t, "vfs")
	box := ensure(t, one, "box")
	if again := ensure(t, two, "box"); again.ImageID != box.ImageID {
		t.Errorf("box in another store has the id %s; want %s", again.ImageID, box.ImageID)
	}
	for _, name := range []string{"web", "stress"} {
		img := ensure(t, one, name)
		for i, d := range box.RootFS.DiffIDs {
			if img.RootFS.DiffIDs[i] != d {
				t.Errorf("%s: layer %d is %s; want box's %s", name, i, img.RootFS.DiffIDs[i], d)
			}
		}
	}
	web := ensure(t, one, "web")
	if _, ok := web.Config.ExposedPorts["80/tcp"]; !ok || web.Config.WorkingDir != "/www" || web.Config.Labels["cutaway.image"] != "web" {
		t.Errorf("web's configuration = %+v; want port 80, /www and a label", web.Config)
	}
	if box.Config.Labels["cutaway.image"] != "box" {
		t.Errorf("making web changed box's labels to %v", box.Config.Labels)
	}
}

// TestSecondEnsureIsCheap: a start of a container pays it each time.
func TestSecondEnsureIsCheap(t *testing.T) {
	s := open(t, "overlay2")
	ensure(t, s, "box")
	best := time.Hour
	for range 10 {
		begin := time.Now()
		ensure(t, s, "box")
		best = min(best, time.Since(begin))
	}
	t.Logf("best of ten: %v", best)
	if best > 2*time.Millisecond {
		t.Errorf("Ensure again took %v; want less than 2ms", best)
	}
}

// TestUsersNameStays: what the user has named box is not replaced.
func TestUsersNameStays(t *testing.T) {
	s := open(t, "overlay2")
	b := s.NewBuilder(nil, time.Unix(0, 0))
	b.AddFiles("ADD mine", []image.File{{Name: "mine", Mode: 0o644}})
	mine, err := b.Commit()
	if err != nil {
		t.Fatal(err)
	}
	ref, _ := image.ParseReference("box")
	if err := s.Tag(ref, mine.ImageID); err != nil {
		t.Fatal(err)
	}
	if got := ensure(t, s, "box"); got.ImageID != mine.ImageID {
		t.Errorf("Ensure(box) = %s; want the user's %s", got.ImageID, mine.ImageID)
	}
	if got := ensure(t, s, "web"); got.RootFS.DiffIDs[0] == mine.RootFS.DiffIDs[0] {
		t.Error("web was made on the user's box; want it on its own")
	}
}

// TestReplacedProgram: another busybox, another image.
func TestReplacedProgram(t *testing.T) {
	from := builtin.Find()
	needs.That(t, from.BusyBox != "", "a static busybox (package busybox-static)")
	s := open(t, "overlay2")
	data, err := os.ReadFile(from.BusyBox)
	if err != nil {
		t.Fatal(err)
	}
	from.BusyBox = filepath.Join(contract.TempDir(t), "busybox")
	var ids []string
	for _, tail := range []string{"", "changed"} {
		if err := os.WriteFile(from.BusyBox, append(data, tail...), 0o755); err != nil {
			t.Fatal(err)
		}
		img := ensureFrom(t, s, "box", from)
		ids = append(ids, img.ImageID.String())
		if found, err := builtin.Resolve(s, "box"); err != nil || found.ImageID != img.ImageID {
			t.Errorf("Resolve(box) = %v, %v; want %s", found, err, img.ImageID)
		}
	}
	if ids[0] == ids[1] {
		t.Errorf("a changed busybox gave the same image %s", ids[0])
	}
}
