package volumedemo

import (
	"errors"
	"os"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/internal/inside"
)

func attachSpec(t *testing.T, dir, text string) error {
	t.Helper()
	s, err := ParseVolume(text, dir)
	must(t, err)
	points, err := (&Store{Dir: dir + "/volumes"}).Resolve(Request{Specs: []Spec{s}})
	must(t, err)
	return Attach(dir+"/root", points[0].Mount())
}

func TestAttachBinds(t *testing.T) {
	dir := inMountNamespace(t)
	must(t, os.MkdirAll(dir+"/root/www", 0o755), os.Mkdir(dir+"/site", 0o755),
		os.WriteFile(dir+"/root/www/page", []byte("old"), 0o644), os.WriteFile(dir+"/site/page", []byte("new"), 0o644))
	must(t, attachSpec(t, dir, dir+"/site:/www"))
	if text, _ := os.ReadFile(dir + "/root/www/page"); string(text) != "new" {
		t.Errorf("the page is %q; want the source's", text)
	}
	must(t, attachSpec(t, dir, dir+"/site/page:/etc/page"), attachSpec(t, dir, dir+"/site:/ro:ro"))
	if info, err := os.Stat(dir + "/root/etc/page"); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the bound file: %v, %v", info, err)
	}
	if err := os.WriteFile(dir+"/root/ro/x", nil, 0o644); !errors.Is(err, unix.EROFS) {
		t.Errorf("write below a read-only bind = %v; want EROFS", err)
	}
	must(t, os.WriteFile(dir+"/site/x", nil, 0o644)) // the source itself is writable
	must(t, unix.Unmount(dir+"/root/www", 0))
	if text, _ := os.ReadFile(dir + "/root/www/page"); string(text) != "old" {
		t.Errorf("after umount the page is %q; want what was hidden", text)
	}
}

// ro alone is about the top mount; what is mounted below stays writable. rro
// reaches down.
func TestAttachReadOnlyReachesDown(t *testing.T) {
	dir := inMountNamespace(t)
	must(t, os.MkdirAll(dir+"/root", 0o755), os.MkdirAll(dir+"/site/below", 0o755), unix.Mount("below", dir+"/site/below", "tmpfs", 0, ""))
	for target, p := range map[string]Point{
		"/deep": {Type: Bind, Source: dir + "/site", Destination: "/deep"},
		"/flat": {Type: Bind, Source: dir + "/site", Destination: "/flat", Bind: BindOptions{Recursive: Writable}},
	} {
		must(t, Attach(dir+"/root", p.Mount()))
		if err := os.WriteFile(dir+"/root"+target+"/x", nil, 0o644); !errors.Is(err, unix.EROFS) {
			t.Errorf("%s: write at the top = %v; want EROFS", target, err)
		}
		err := os.WriteFile(dir+"/root"+target+"/below/x", nil, 0o644)
		if wantRO := target == "/deep"; errors.Is(err, unix.EROFS) != wantRO {
			t.Errorf("%s: write below = %v; want EROFS %t", target, err, wantRO)
		}
	}
}

func TestAttachNeverLeavesTheRoot(t *testing.T) {
	dir := inMountNamespace(t)
	must(t, os.MkdirAll(dir+"/root/real", 0o755), os.MkdirAll(dir+"/out", 0o755), os.Mkdir(dir+"/site", 0o755),
		os.Symlink("/real", dir+"/root/abs"), os.Symlink("../../out", dir+"/root/up"), os.Symlink("/proc/self/root"+dir+"/out", dir+"/root/magic"))
	must(t, attachSpec(t, dir, dir+"/site:/abs"))
	if !sameFile(dir+"/root/real", dir+"/site") {
		t.Error("an absolute symlink does not count from the container's root")
	}
	for _, target := range []string{"/up", "/magic", "/../../out"} {
		_ = attachSpec(t, dir, dir+"/site:"+target) // it may fail, or end inside; never outside
		if sameFile(dir+"/out", dir+"/site") {
			t.Errorf("%s led out of the root", target)
		}
	}
}

func sameFile(a, b string) bool {
	ia, erra := os.Stat(a)
	ib, errb := os.Stat(b)
	return erra == nil && errb == nil && os.SameFile(ia, ib)
}

func TestAttachTmpfsHasItsSize(t *testing.T) {
	dir := inMountNamespace(t)
	must(t, os.Mkdir(dir+"/root", 0o755))
	s, err := ParseMount("type=tmpfs,target=/run,tmpfs-size=64k,tmpfs-mode=1770", "/")
	must(t, err)
	points, err := (&Store{Dir: dir + "/volumes"}).Resolve(Request{Specs: []Spec{s}})
	must(t, err)
	must(t, Attach(dir+"/root", points[0].Mount()))
	if err := os.WriteFile(dir+"/root/run/big", make([]byte, 128<<10), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("128k into 64k = %v; want ENOSPC", err)
	}
	if info, _ := os.Stat(dir + "/root/run"); info.Mode().Perm() != 0o770 || info.Mode()&os.ModeSticky == 0 {
		t.Errorf("mode %v; want 1770", info.Mode())
	}
}

func TestAttachSlaveFollowsTheHost(t *testing.T) {
	dir := inMountNamespace(t)
	must(t, os.Mkdir(dir+"/root", 0o755), os.MkdirAll(dir+"/site", 0o755), unix.Mount("site", dir+"/site", "tmpfs", 0, ""),
		unix.Mount("", dir+"/site", "", unix.MS_SHARED, ""), os.Mkdir(dir+"/site/later", 0o755))
	must(t, attachSpec(t, dir, dir+"/site:/slave:rslave"), attachSpec(t, dir, dir+"/site:/private"))
	must(t, unix.Mount("later", dir+"/site/later", "tmpfs", 0, ""))
	if !sameFile(dir+"/site/later", dir+"/root/slave/later") {
		t.Error("a mount on the host did not arrive in a slave")
	}
	if sameFile(dir+"/site/later", dir+"/root/private/later") {
		t.Error("a mount on the host arrived in a private one")
	}
}

func TestAttachUnlike(t *testing.T) {
	dir := inMountNamespace(t)
	must(t, os.MkdirAll(dir+"/root/folder", 0o755), os.WriteFile(dir+"/file", nil, 0o644))
	if err := attachSpec(t, dir, dir+"/file:/folder"); !errors.Is(err, unix.ENOTDIR) || Why(err) == "" {
		t.Errorf("a file over a folder = %v; want ENOTDIR and why", err)
	}
	if err := Attach(dir+"/root", specs.Mount{Type: "bind", Source: dir, Destination: "/x", Options: []string{"fast"}}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("an unknown option = %v; want EINVAL", err)
	}
}

// A volume that somebody has mounted something in is not removed through it.
func TestRemoveStopsAtAMount(t *testing.T) {
	dir := inMountNamespace(t)
	s := &Store{Dir: dir + "/volumes"}
	v, err := s.Create(CreateOptions{Name: "data"})
	must(t, err)
	must(t, os.Mkdir(dir+"/precious", 0o755), os.WriteFile(dir+"/precious/x", nil, 0o644), os.Mkdir(v.Mountpoint+"/m", 0o755),
		unix.Mount(dir+"/precious", v.Mountpoint+"/m", "", unix.MS_BIND, ""))
	if err := s.Remove("data", nobody); !errors.Is(err, unix.EBUSY) {
		t.Errorf("Remove = %v; want EBUSY", err)
	}
	if _, err := os.Stat(dir + "/precious/x"); err != nil {
		t.Error(err)
	}
}

func TestAttachInAnotherNamespace(t *testing.T) {
	dir := inMountNamespace(t)
	_ = dir
	base := t.TempDir()
	must(t, os.MkdirAll(base+"/root/www", 0o755), os.MkdirAll(base+"/site", 0o755), os.WriteFile(base+"/site/page", nil, 0o644))
	h, err := inside.Start(t.Context(), inside.Config{Attr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}})
	must(t, err)
	defer h.Close()
	m := Point{Type: Bind, Source: base + "/site", Destination: "/www", RW: true}.Mount()
	must(t, AttachIn(t.Context(), h, base+"/root", m))
	if _, err := os.Stat(base + "/root/www/page"); err == nil {
		t.Error("the mount appeared here as well")
	}
}
