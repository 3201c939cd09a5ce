package btrfs_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"cutaway/internal/needs"
	"cutaway/unionfs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver/btrfs"
)

func open(home string) (unionfs.Driver, error) { return btrfs.Open(home) }

func TestMain(m *testing.M) { contract.Main(m, open) }

// disk makes a btrfs in a file and mounts it through a loop device, which goes
// away with the mount (autoclear).
func disk(t *testing.T) string {
	t.Helper()
	needs.Root(t)
	needs.Program(t, "mkfs.btrfs", "btrfs-progs")
	return contract.LoopMount(t, "btrfs", 256<<20, "mkfs.btrfs", "-q")
}

func TestContract(t *testing.T) {
	dir := disk(t)
	contract.Run(t, contract.Case{
		Open: open,
		Home: func(t *testing.T) string { return filepath.Join(dir, filepath.Base(t.Name()), "btrfs") },
		Residue: func(home string) ([]string, error) {
			volumes, err := filepath.Glob(filepath.Join(home, "subvolumes", "*"))
			quotas, _ := filepath.Glob(filepath.Join(home, "quotas", "*"))
			return append(volumes, quotas...), err
		},
	})
}

// TestSpace looks at what sharing means in bytes: a snapshot refers to all that
// its source does, and owns nothing until it is written to.
func TestSpace(t *testing.T) {
	dir := disk(t)
	d, err := btrfs.Open(filepath.Join(dir, "btrfs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := btrfs.EnableQuota(dir); err != nil {
		t.Fatalf("EnableQuota: %v", err)
	}
	const size = 8 << 20
	make := func(id, parent string) string {
		if err := d.Create(id, parent, unionfs.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, "btrfs", "subvolumes", id)
	}
	base := make("base", "")
	fill := func(name string, n int) {
		if err := os.WriteFile(name, pattern(n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fill(filepath.Join(base, "big"), size)
	top := make("top", "base")
	check := func(when, vol string, refMin, exclMax uint64) {
		t.Helper()
		s, err := btrfs.ReadSpace(vol)
		if err != nil {
			t.Fatalf("ReadSpace(%s): %v", vol, err)
		}
		if s.Referenced < refMin || s.Exclusive > exclMax {
			t.Errorf("%s: ReadSpace(%s) = %+v; want referenced >= %d, exclusive <= %d", when, filepath.Base(vol), s, refMin, exclMax)
		}
	}
	check("after snapshot", base, size, 1<<20)
	check("after snapshot", top, size, 1<<20)
	fill(filepath.Join(top, "more"), size)
	check("after write", top, 2*size, size+1<<20)
	for _, id := range []string{"top", "base"} {
		if err := d.Remove(id); err != nil {
			t.Error(err)
		}
	}
}

// TestReadSubvolume follows a snapshot to what it was made from.
func TestReadSubvolume(t *testing.T) {
	dir := disk(t)
	if err := errors.Join(btrfs.CreateSubvolume(dir, "base"), btrfs.Snapshot(filepath.Join(dir, "base"), dir, "top")); err != nil {
		t.Fatal(err)
	}
	base, err := btrfs.ReadSubvolume(filepath.Join(dir, "base"))
	if err != nil || base.Name != "base" || len(base.UUID) != 36 || base.ParentUUID != "" {
		t.Errorf("ReadSubvolume(base) = %+v, %v; want its name, a uuid and no parent", base, err)
	}
	top, err := btrfs.ReadSubvolume(filepath.Join(dir, "top"))
	if err != nil || top.Name != "top" || top.ParentUUID != base.UUID || top.ID == base.ID || top.Made < base.Made {
		t.Errorf("ReadSubvolume(top) = %+v, %v; want a snapshot of %s", top, err, base.UUID)
	}
}

// pattern is n bytes that do not compress to nothing.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i>>8 ^ i)
	}
	return b
}
