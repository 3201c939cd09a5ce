package contract

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// LoopMount makes a file of the given size, runs mkfs with the file's name as
// the last argument, and mounts it through a loop device at a new folder. The
// loop device is freed by the kernel with the unmount (autoclear), so that a
// killed test leaves none: its mount namespace ends, hence the mount, hence the
// device.
func LoopMount(t *testing.T, fsType string, size int64, mkfs ...string) string {
	t.Helper()
	dir := TempDir(t)
	image, target := filepath.Join(dir, "cutaway-disk"), filepath.Join(dir, "mnt")
	f, err := os.Create(image)
	if err == nil {
		err = f.Truncate(size)
		f.Close()
	}
	if err == nil {
		err = os.Mkdir(target, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	Command(t, append(mkfs, image)...)
	Command(t, "mount", "-t", fsType, "-o", "loop", image, target)
	t.Cleanup(func() { Command(t, "umount", target) })
	return target
}

// Command runs a program and fails the test with its output if it fails.
func Command(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}
