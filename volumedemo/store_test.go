package volumedemo

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func nobody(string) ([]string, error) { return nil, nil }

func TestStoreLifeOfAVolume(t *testing.T) {
	s := &Store{Dir: filepath.Join(t.TempDir(), "volumes")}
	made, err := s.Create(CreateOptions{Name: "data", Labels: map[string]string{"of": "me"}})
	if err != nil {
		t.Fatal(err)
	}
	if made.Mountpoint != s.Dir+"/data/_data" || made.Labels["of"] != "me" || made.Scope != "local" || made.CreatedAt == "" {
		t.Errorf("Create = %+v", made)
	}
	must(t, os.WriteFile(made.Mountpoint+"/x", []byte("12345"), 0o600))
	if again, err := s.Create(CreateOptions{Name: "data"}); err != nil || again.Labels["of"] != "me" {
		t.Errorf("Create again = %+v, %v; want the volume as it was", again, err)
	}
	anonymous, err := s.Create(CreateOptions{})
	if err != nil || len(anonymous.Name) != 64 || !anonymous.Anonymous() {
		t.Errorf("Create without a name = %+v, %v", anonymous, err)
	}
	var used *InUse
	err = s.Remove("data", func(string) ([]string, error) { return []string{"c1", "c2"}, nil })
	if !errors.As(err, &used) || err.Error() != "remove data: volume is in use - [c1, c2]" {
		t.Errorf("Remove in use = %v", err)
	}
	if size, err := s.Size("data"); size != 5 || err != nil {
		t.Errorf("Size = %d, %v; want 5", size, err)
	}
	pruned, err := s.Prune(Info.Anonymous, nobody)
	if err != nil || !slices.Equal(pruned.Names, []string{anonymous.Name}) {
		t.Errorf("Prune = %+v, %v; want the anonymous one", pruned, err)
	}
	must(t, s.Remove("data", nobody))
	if err := s.Remove("data", nobody); !errors.Is(err, ErrNotExist) {
		t.Errorf("Remove twice = %v; want ErrNotExist", err)
	}
	if left, _ := os.ReadDir(s.Dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestStoreRefusesNames(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	for _, name := range []string{"x", "../up", "a/b", ".new-1", "a b", strings.Repeat("x", 256)} {
		if _, err := s.Create(CreateOptions{Name: name}); err == nil {
			t.Errorf("Create(%q) succeeded", name)
		}
		if err := s.Remove(name, nobody); !errors.Is(err, ErrNotExist) {
			t.Errorf("Remove(%q) = %v", name, err)
		}
	}
}

// What a crash leaves is not listed, and is cleared by the next removal.
func TestStoreClearsWhatCrashesLeave(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	for _, half := range []string{".new-1/_data", ".gone-2/data/_data"} {
		must(t, os.MkdirAll(filepath.Join(s.Dir, half), 0o755))
	}
	if all, err := s.List(); len(all) != 0 || err != nil {
		t.Errorf("List = %v, %v; want nothing", all, err)
	}
	if _, err := s.Prune(func(Info) bool { return true }, nobody); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(s.Dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestStoreCreatedByManyAtOnce(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if _, err := s.Create(CreateOptions{Name: "data"}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if entries, _ := os.ReadDir(s.Dir); len(entries) != 1 {
		t.Errorf("%d folders; want one volume and nothing beside it", len(entries))
	}
}

func TestResolveUnmakesAfterAnError(t *testing.T) {
	dir := t.TempDir()
	s := &Store{Dir: dir + "/volumes"}
	_, err := s.Resolve(Request{Specs: []Spec{
		{Type: Volume, Source: "data", Target: "/a"},
		{Type: Bind, Source: dir + "/new/deep", Target: "/b", Bind: BindOptions{CreateMissing: true}},
		{Type: Bind, Source: dir + "/missing", Target: "/c"},
	}})
	if err == nil || !strings.Contains(err.Error(), "bind source path does not exist: "+dir+"/missing") {
		t.Fatalf("Resolve = %v; want the missing source", err)
	}
	for _, path := range []string{dir + "/new", s.Dir + "/data"} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was left behind (%v)", path, err)
		}
	}
	points, err := s.Resolve(Request{Specs: []Spec{{Type: Bind, Source: dir + "/new/deep", Target: "/b", Bind: BindOptions{CreateMissing: true}}}})
	if err != nil || points[0].Propagation != "rprivate" || !isFolder(dir+"/new/deep") {
		t.Errorf("Resolve = %+v, %v; want the folder made", points, err)
	}
}

// makeTree has one of each thing that a copy could lose.
func makeTree(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir+"/sub", 0o755), os.Chmod(dir, 0o1777),
		os.WriteFile(dir+"/file", []byte("hello"), 0o600), os.Link(dir+"/file", dir+"/sub/hard"),
		os.Symlink("/etc/passwd", dir+"/link"), unix.Mkfifo(dir+"/pipe", 0o620),
		os.Chmod(dir+"/file", 0o640|os.ModeSetuid), os.Chmod(dir+"/sub", 0o750))
	must(t, unix.Setxattr(dir+"/file", "user.note", []byte("a\x00b"), 0))
	if os.Geteuid() == 0 {
		must(t, os.Lchown(dir+"/file", 1000, 2000), os.Chmod(dir+"/file", 0o640|os.ModeSetuid), os.Lchown(dir+"/link", 7, 8), os.Lchown(dir, 33, 44),
			unix.Mknod(dir+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	}
}

// sameTree compares two trees by what lstat(2) and the attributes say.
func sameTree(t *testing.T, want, got string) {
	t.Helper()
	names := func(dir string) (all []string) {
		must(t, filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error { all = append(all, p[len(dir):]); return err }))
		return all
	}
	if w, g := names(want), names(got); !slices.Equal(w, g) {
		t.Fatalf("names %q; want %q", g, w)
	}
	for _, name := range names(want) {
		var w, g unix.Stat_t
		must(t, unix.Lstat(want+name, &w), unix.Lstat(got+name, &g))
		if w.Mode != g.Mode || w.Uid != g.Uid || w.Gid != g.Gid || w.Mtim != g.Mtim || w.Rdev != g.Rdev || w.Mode&unix.S_IFMT != unix.S_IFDIR && (w.Size != g.Size || w.Nlink != g.Nlink) {
			t.Errorf("%q: mode %o owner %d:%d time %v links %d; want %o %d:%d %v %d", name, g.Mode, g.Uid, g.Gid, g.Mtim, g.Nlink, w.Mode, w.Uid, w.Gid, w.Mtim, w.Nlink)
		}
		var wb, gb [64]byte
		wn, _ := unix.Lgetxattr(want+name, "user.note", wb[:])
		gn, _ := unix.Lgetxattr(got+name, "user.note", gb[:])
		if wn != gn || wb != gb {
			t.Errorf("%q: attribute %q; want %q", name, gb[:max(gn, 0)], wb[:max(wn, 0)])
		}
	}
}

func TestFillCopiesTheImagesContentOnce(t *testing.T) {
	dir := t.TempDir()
	s := &Store{Dir: dir + "/volumes"}
	makeTree(t, dir+"/root/var/db")
	must(t, os.Symlink("/var/db", dir+"/root/db")) // absolute: it must count from the container's root
	points, err := s.Resolve(Request{Specs: []Spec{{Type: Volume, Target: "/db"}, {Type: Volume, Target: "/nowhere"}, {Type: Volume, Target: "/none", Volume: VolumeOptions{NoCopy: true}}}})
	must(t, err)
	for i, want := range []bool{true, false, false} {
		if filled, err := s.Fill(points[i], dir+"/root"); filled != want || err != nil {
			t.Errorf("Fill(%s) = %t, %v; want %t", points[i].Destination, filled, err, want)
		}
	}
	sameTree(t, dir+"/root/var/db", points[0].Source)
	must(t, os.Remove(points[0].Source+"/file"))
	if filled, err := s.Fill(points[0], dir+"/root"); filled || err != nil {
		t.Errorf("Fill of a volume in use = %t, %v; want it left alone", filled, err)
	}
	// After a crash in the middle, it begins anew.
	must(t, os.WriteFile(s.fillMark(points[0].Name), nil, 0o600))
	if filled, err := s.Fill(points[0], dir+"/root"); !filled || err != nil {
		t.Errorf("Fill after a crash = %t, %v; want it done anew", filled, err)
	}
	sameTree(t, dir+"/root/var/db", points[0].Source)
}

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	s := &Store{Dir: dir + "/volumes"}
	v, err := s.Create(CreateOptions{Name: "data"})
	must(t, err)
	makeTree(t, v.Mountpoint)
	makeTree(t, dir+"/want")
	for _, name := range []string{"", "/sub", "/file", "/pipe"} {
		for _, base := range []string{dir + "/want", v.Mountpoint} {
			must(t, os.Chtimes(base+name, stamp, stamp))
		}
	}
	var archive bytes.Buffer
	must(t, s.Backup("data", &archive))
	must(t, os.WriteFile(v.Mountpoint+"/file", []byte("damaged"), 0o600), os.WriteFile(v.Mountpoint+"/stray", nil, 0o600))
	for _, half := range [][]byte{nil, archive.Bytes()[:archive.Len()/2]} {
		if err := s.Restore("data", bytes.NewReader(half)); err == nil {
			t.Error("Restore took half an archive")
		}
	}
	if text, _ := os.ReadFile(v.Mountpoint + "/file"); string(text) != "damaged" {
		t.Errorf("half an archive changed the volume: %q", text)
	}
	must(t, s.Restore("data", bytes.NewReader(archive.Bytes())))
	for _, odd := range []string{"/link", "/null"} { // their times were not set above
		must(t, ignoreMissing(os.Remove(v.Mountpoint+odd)), ignoreMissing(os.Remove(dir+"/want"+odd)))
	}
	must(t, os.Chtimes(v.Mountpoint, stamp, stamp), os.Chtimes(dir+"/want", stamp, stamp))
	sameTree(t, dir+"/want", v.Mountpoint)
}
