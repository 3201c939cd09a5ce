package devicemapper_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/internal/vm"
	"cutaway/unionfs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver/devicemapper"
)

// filePool stands in for a thin pool where the kernel has no device-mapper: a
// device is a file, a snapshot a sparse copy, and an active one a loop device.
// It lets the driver's own part be tested with real file systems; that blocks
// are shared is for the test with the real pool.
type filePool struct{ dir string }

func (p filePool) file(id uint32) string { return filepath.Join(p.dir, fmt.Sprint(id)) }

func (p filePool) CreateThin(id uint32) error {
	return os.WriteFile(p.file(id), nil, 0o600)
}

func (p filePool) CreateSnap(id, origin uint32) error {
	if _, err := os.Stat(p.file(id)); err == nil {
		return unix.EEXIST
	}
	// In this process, not with cp: a child would go on after a kill.
	data, err := os.ReadFile(p.file(origin))
	if err != nil {
		return err
	}
	f, err := os.Create(p.file(id))
	if err != nil {
		return err
	}
	defer f.Close()
	for at := 0; at < len(data); at += 64 << 10 {
		chunk := data[at:min(at+64<<10, len(data))]
		if bytes.Count(chunk, []byte{0}) == len(chunk) {
			continue
		}
		if _, err := f.WriteAt(chunk, int64(at)); err != nil {
			return err
		}
	}
	return f.Truncate(int64(len(data)))
}

func (p filePool) Delete(id uint32) error {
	err := os.Remove(p.file(id))
	if errors.Is(err, fs.ErrNotExist) {
		return unix.ENODATA
	}
	return err
}

func (p filePool) Activate(name string, id uint32, size uint64) (string, error) {
	if err := os.Truncate(p.file(id), int64(size)); err != nil {
		return "", err
	}
	out, err := exec.Command("losetup", "-f", "--show", p.file(id)).Output()
	node := strings.TrimSpace(string(out))
	if err == nil {
		err = os.WriteFile(filepath.Join(p.dir, name), []byte(node), 0o600)
	}
	return node, err
}

func (p filePool) Deactivate(name string) error {
	node, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		return unix.ENXIO
	}
	return errors.Join(run("losetup", "-d", string(node)), os.Remove(filepath.Join(p.dir, name)))
}

func (p filePool) Status() []devicemapper.Fact {
	return []devicemapper.Fact{{Name: "Pool Name", Value: "stand-in of files"}}
}

func run(args ...string) error {
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%q: %w: %s", args, err, out)
	}
	return nil
}

func open(home string) (unionfs.Driver, error) {
	if realPoolWanted() {
		return openReal(home)
	}
	pool := filepath.Join(home, "pool")
	if err := os.MkdirAll(pool, 0o700); err != nil {
		return nil, err
	}
	return devicemapper.Open(home, filePool{pool}, devicemapper.Options{BaseSize: 24 << 20})
}

func TestMain(m *testing.M) {
	vm.Main() // this program is PID 1 of the guest, too
	contract.Main(m, open)
}

func TestContract(t *testing.T) {
	needs.Root(t)
	needs.File(t, "/dev/loop-control", "kernel option CONFIG_BLK_DEV_LOOP")
	contract.Run(t, contract.Case{
		Open: open, Slow: true, Depth: 8,
		Home: func(t *testing.T) string {
			dir := contract.TempDir(t)
			t.Cleanup(func() { closeReal(t, dir); detachAll(t, dir) })
			return dir
		},
		// The base device stays; nothing else may.
		Residue: func(home string) ([]string, error) {
			left, err := filepath.Glob(filepath.Join(home, "mnt/*"))
			pool, _ := filepath.Glob(filepath.Join(home, "pool/*"))
			if len(pool) > 1 {
				left = append(left, pool...)
			}
			return left, err
		},
	})
}

// detachAll takes loop devices away that a killed process left: the stand-in
// has no autoclear, as a real pool has none.
func detachAll(t *testing.T, dir string) {
	out, err := exec.Command("losetup", "-n", "-O", "NAME,BACK-FILE").Output()
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(out)) {
		node, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(strings.TrimSpace(file), dir+"/") {
			if err := run("losetup", "-d", node); err != nil {
				t.Error(err)
			}
		}
	}
}
