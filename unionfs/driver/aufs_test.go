package driver_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"cutaway/internal/needs"
	"cutaway/unionfs"
	"cutaway/unionfs/aufs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver"
)

// TestMain also serves as the AUFS server in user space.
func TestMain(m *testing.M) {
	aufs.Main()
	contract.Main(m, openAufs)
}

func openAufs(home string) (unionfs.Driver, error) {
	return driver.Open(filepath.Dir(home), "aufs", driver.Options{})
}

func aufsHome(t *testing.T) string {
	t.Helper()
	return filepath.Join(contract.TempDir(t), "aufs")
}

// TestAufsContract runs the suite with the mounts that the driver really has.
func TestAufsContract(t *testing.T) {
	needs.Root(t)
	needs.File(t, "/dev/fuse", "kernel option CONFIG_FUSE_FS")
	contract.Run(t, contract.Case{Open: openAufs, Home: aufsHome, Residue: func(home string) ([]string, error) {
		return filepath.Glob(filepath.Join(home, "*/*"))
	}})
}

// TestAufsServerKilled: a mount whose server is gone can still be given back.
func TestAufsServerKilled(t *testing.T) {
	needs.Root(t)
	d, err := openAufs(aufsHome(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range [][2]string{{"a", ""}, {"b", "a"}} {
		if err := d.Create(l[0], l[1], unionfs.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	m, err := d.Mount("b", unionfs.MountOptions{})
	if err != nil {
		t.Fatal(err)
	}
	u, err := aufs.Find(m.Path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := u.State()
	needs.That(t, err == nil && s.Kind == aufs.KindFUSE, "aufs in user space: here the kernel's is used")
	p, err := os.FindProcess(s.PID)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Release(), d.Remove("b"), d.Remove("a")); err != nil {
		t.Errorf("after the server was killed: %v; want the mount given back and the layers removed", err)
	}
}
