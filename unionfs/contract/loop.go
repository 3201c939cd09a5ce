package contract

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// LoopMount makes a file of the given size, runs mkfs with the file's name as
// the last argument, and mounts it through a loop device at a new folder. The
// loop device is freed by the kernel with the unmount (autoclear), so that a
// killed test leaves none: its mount namespace ends, hence the mount, hence the
// device.
func LoopMount(t *testing.T, fsType string, size int64, mkfs ...string) string {
	t.Helper()
	target, err := TryLoopMount(t, fsType, "", size, mkfs...)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// TryLoopMount is LoopMount with a mount option that the kernel may not know.
func TryLoopMount(t *testing.T, fsType, option string, size int64, mkfs ...string) (string, error) {
	t.Helper()
	dir := TempDir(t)
	image, target := filepath.Join(dir, "cutaway-disk"), filepath.Join(dir, "mnt")
	f, err := os.Create(image)
	if err == nil {
		err = errors.Join(f.Truncate(size), f.Close(), os.Mkdir(target, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkfs[0], append(mkfs[1:], image)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%q: %w: %s", mkfs, err, out)
	}
	options := strings.TrimSuffix("loop,"+option, ",")
	if out, err := exec.Command("mount", "-t", fsType, "-o", options, image, target).CombinedOutput(); err != nil {
		return "", fmt.Errorf("mount -t %s -o %s: %w: %s", fsType, options, err, out)
	}
	t.Cleanup(func() { Command(t, "umount", target) })
	return target, nil
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
