package zfs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/unionfs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver/zfs"
)

// open takes the dataset from the home's last component, so that the crash
// test's victim finds it too.
func open(home string) (unionfs.Driver, error) {
	return zfs.Open(home, "cutaway/"+filepath.Base(home))
}

func TestMain(m *testing.M) { contract.Main(m, open) }

// pool starts a zfs-fuse of our own, whose socket, cache and mounts lie in the
// test's mount namespace, and makes a pool in a file.
func pool(t *testing.T) string {
	t.Helper()
	needs.Root(t)
	needs.Program(t, "zfs-fuse", "zfs-fuse")
	dir := contract.TempDir(t)
	for _, d := range []string{"/run/zfs", "/var/lib/zfs", "/etc/zfs"} {
		needs.File(t, d, "package zfs-fuse")
		contract.Command(t, "mount", "-t", "tmpfs", "tmpfs", d)
		t.Cleanup(func() { contract.Command(t, "umount", d) })
	}
	stop := daemon(t)
	t.Cleanup(stop)
	disk := filepath.Join(dir, "cutaway-pool")
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, 512<<20); err != nil {
		t.Fatal(err)
	}
	contract.Command(t, "zpool", "create", "-m", "none", "cutaway", disk)
	t.Cleanup(func() { contract.Command(t, "zpool", "destroy", "-f", "cutaway") })
	return dir
}

// daemon runs zfs-fuse in the foreground until the test ends.
func daemon(t *testing.T) (stop func()) {
	t.Helper()
	runtime.LockOSThread() // Pdeathsig follows the thread
	cmd := exec.Command("zfs-fuse", "--no-daemon", "--enable-xattr", "--no-kstat-mount")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if exec.Command("zpool", "list").Run() == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return func() {
		cmd.Process.Signal(unix.SIGTERM)
		cmd.Wait()
	}
}

func TestContract(t *testing.T) {
	dir := pool(t)
	contract.Run(t, contract.Case{
		Open:  open,
		Slow:  true,
		Depth: 10,
		Lacks: map[string]string{
			"large-id":    "zfs-fuse answers EINVAL for ids from 2^31",
			"nanoseconds": "zfs-fuse keeps times in whole seconds",
		},
		Home: func(t *testing.T) string {
			name := strings.ToLower(filepath.Base(t.Name()))
			contract.Command(t, "zfs", "create", "-o", "mountpoint=none", "cutaway/"+name)
			return filepath.Join(dir, name)
		},
		Residue: func(home string) ([]string, error) {
			return filepath.Glob(filepath.Join(home, "graph", "*"))
		},
	})
}

// TestSpace looks at used against referenced: a clone refers to what its origin
// holds and uses nothing of its own.
func TestSpace(t *testing.T) {
	dir := pool(t)
	contract.Command(t, "zfs", "create", "-o", "mountpoint=none", "cutaway/space")
	d, err := zfs.Open(filepath.Join(dir, "space"), "cutaway/space")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Create("base", "", unionfs.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	m, err := d.Mount("base", unionfs.MountOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const size = 4 << 20
	if err := os.WriteFile(filepath.Join(m.Path, "big"), []byte(strings.Repeat("0123456789abcdef", size/16)), 0o644); err != nil {
		t.Error(err)
	}
	if err := m.Release(); err != nil {
		t.Error(err)
	}
	if err := d.Create("top", "base", unionfs.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s, err := d.ReadSpace("top")
	if err != nil || s.Origin != "cutaway/space/base@top" || s.Used > size/4 || s.Referenced < size {
		t.Errorf("ReadSpace(top) = %+v, %v; want origin cutaway/space/base@top, used < %d, referenced >= %d", s, err, size/4, size)
	}
	snapshots, err := d.Snapshots("base")
	if want := []zfs.Snapshot{{Name: "cutaway/space/base@top", Deferred: true}}; err != nil || !cmp.Equal(snapshots, want) {
		t.Errorf("Snapshots(base) = %+v, %v; want %+v", snapshots, err, want)
	}
}
