package storage_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/minicontainer/storage"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver"
	"cutaway/unionfs/image"
)

func TestMain(m *testing.M) { contract.Main(m, nil) }

func open(t *testing.T, root, name string) *image.Store {
	t.Helper()
	s, err := storage.Open(storage.Options{Root: root, Driver: name})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fill(t *testing.T, s *image.Store) {
	t.Helper()
	b := s.NewBuilder(nil, time.Unix(0, 0))
	b.AddFiles("ADD a", []image.File{{Name: "a", Mode: 0o644}})
	if _, err := b.Commit(); err != nil {
		t.Fatal(err)
	}
}

// TestChoose: what is there decides; else what works. Trying leaves nothing.
func TestChoose(t *testing.T) {
	needs.Root(t)
	root := contract.TempDir(t)
	for range 2 {
		if name, err := storage.Choose(root); err != nil || name != "overlay2" {
			t.Errorf("Choose(empty root) = %q, %v; want overlay2", name, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(root, "*/*")); len(left) > 0 {
		t.Errorf("Choose left %v", left)
	}
	fill(t, open(t, root, "vfs"))
	if name, err := storage.Choose(root); err != nil || name != "vfs" {
		t.Errorf("Choose(root with layers of vfs) = %q, %v; want vfs", name, err)
	}
	fill(t, open(t, root, "overlay2"))
	if name, err := storage.Choose(root); err == nil || !strings.Contains(err.Error(), "several valid storage drivers: overlay2, vfs") {
		t.Errorf("Choose(root with two) = %q, %v; want an error that names both", name, err)
	}
}

// TestChooseOnOverlay: overlayfs cannot be written to from above itself, as in a
// container; vfs can.
func TestChooseOnOverlay(t *testing.T) {
	needs.Root(t)
	dir := contract.TempDir(t)
	for _, sub := range []string{"lower", "upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(dir, "root")
	options := "lowerdir=" + dir + "/lower,upperdir=" + dir + "/upper,workdir=" + dir + "/work"
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(root, 0)
	if name, err := storage.Choose(root); err != nil || name != "vfs" {
		t.Errorf("Choose(root on overlayfs) = %q, %v; want vfs", name, err)
	}
}

// TestCleanLeavesTheBusyAlone: while an image is on its way in, its layers are no
// leftovers.
func TestCleanLeavesTheBusyAlone(t *testing.T) {
	needs.Root(t)
	root := contract.TempDir(t)
	s := open(t, root, "overlay2")
	b := s.NewBuilder(nil, time.Unix(0, 0))
	b.AddFiles("ADD a", []image.File{{Name: "a", Mode: 0o644}})
	got := storage.Clean(root, driver.Options{})
	if len(got) != 1 || got[0].Err == nil || !strings.Contains(got[0].Err.Error(), "bringing an image in") {
		t.Errorf("Clean amid a build = %+v; want it to say that somebody is at work", got)
	}
	if _, err := b.Commit(); err != nil {
		t.Errorf("the build after Clean: %v", err)
	}
	if got := storage.Clean(root, driver.Options{}); len(got) != 1 || got[0].Err != nil || len(got[0].Removed) > 0 {
		t.Errorf("Clean of a whole store = %+v; want nothing removed", got)
	}
	if got := storage.Clean(root+"/absent", driver.Options{}); len(got) != 0 {
		t.Errorf("Clean of a root that is not there = %+v", got)
	}
}
