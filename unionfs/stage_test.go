package unionfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cutaway/unionfs"
)

func TestCheckID(t *testing.T) {
	for _, good := range []string{"a", unionfs.NewID(), unionfs.NewID() + "-init", "A_b.c-9"} {
		if err := unionfs.CheckID(good); err != nil {
			t.Errorf("CheckID(%q) = %v; want nil", good, err)
		}
	}
	for _, bad := range []string{"", ".", "..", ".x", "-x", "a/b", "a b", "a:b", "a,b", "a@b", "ü", "x-creating", "x-removing", strings.Repeat("x", 201)} {
		if err := unionfs.CheckID(bad); err == nil {
			t.Errorf("CheckID(%q) = nil; want an error", bad)
		}
	}
}

// TestStage: a folder is whole or not there, and Sweep takes what nobody holds.
func TestStage(t *testing.T) {
	home := t.TempDir()
	s, err := unionfs.NewStage(home, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unionfs.NewStage(home, "a"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("NewStage of one in the making = %v; want fs.ErrExist", err)
	}
	if swept, err := unionfs.Sweep(home, nil); err != nil || len(swept) > 0 {
		t.Errorf("Sweep while its maker lives = %v, %v; want nothing swept", swept, err)
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := unionfs.NewStage(home, "a"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("NewStage of a finished one = %v; want fs.ErrExist", err)
	}
	os.Mkdir(filepath.Join(home, "b-creating"), 0o755)
	os.MkdirAll(filepath.Join(home, "c-removing/x"), 0o755)
	var seen []string
	swept, err := unionfs.Sweep(home, func(dir string) error { seen = append(seen, filepath.Base(dir)); return nil })
	if err != nil || strings.Join(swept, " ") != "b-creating c-removing" || len(seen) != 2 {
		t.Errorf("Sweep = %v, %v, asked about %v; want b-creating and c-removing", swept, err, seen)
	}
	if ids, err := unionfs.ListDir(home); err != nil || strings.Join(ids, " ") != "a" {
		t.Errorf("ListDir = %v, %v; want [a]", ids, err)
	}
	for range 2 { // absent is as good as removed
		if err := unionfs.RemoveDir(home, "a", nil); err != nil {
			t.Error(err)
		}
	}
}

// TestClaims: mounted once for all holders, unmounted with the last, and a mount
// that could not be taken away stays claimed.
func TestClaims(t *testing.T) {
	var c unionfs.Claims
	var log []string
	stuck := true
	claim := func() *unionfs.Mount {
		m, err := c.Claim("/nowhere/cutaway", "/nowhere/cutaway/root",
			func() error { log = append(log, "mount"); return nil },
			func() error {
				log = append(log, "unmount")
				if stuck {
					stuck = false
					return unix.EBUSY
				}
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	a, b := claim(), claim()
	if err := a.Release(); err != nil || c.Free("/nowhere/cutaway") == nil {
		t.Errorf("first Release = %v, free: %v; want nil and still held", err, c.Free("/nowhere/cutaway"))
	}
	if err := b.Release(); !errors.Is(err, unix.EBUSY) || c.Free("/nowhere/cutaway") == nil {
		t.Errorf("last Release, busy = %v; want EBUSY and still held", err)
	}
	if err := claim().Release(); err != nil {
		t.Errorf("Release of a further claim: %v", err)
	}
	if err := b.Release(); err != nil || c.Free("/nowhere/cutaway") != nil {
		t.Errorf("last Release again = %v, free: %v; want nil and free", err, c.Free("/nowhere/cutaway"))
	}
	if err := b.Release(); err != nil {
		t.Errorf("Release after that = %v; want nil", err)
	}
	if got := strings.Join(log, " "); got != "mount unmount unmount" {
		t.Errorf("calls: %s; want mount unmount unmount", got)
	}
}

func TestWhy(t *testing.T) {
	if unionfs.Why(&fs.PathError{Op: "write", Err: unix.EDQUOT}) == "" {
		t.Error("Why(EDQUOT) is empty")
	}
	if got := unionfs.Why(unix.EACCES); got != "" {
		t.Errorf("Why(EACCES) = %q; want nothing, for it speaks for itself", got)
	}
	var u error = &unionfs.Unsupported{What: "x"}
	if !errors.Is(u, errors.ErrUnsupported) {
		t.Error("Unsupported is not errors.ErrUnsupported")
	}
}
