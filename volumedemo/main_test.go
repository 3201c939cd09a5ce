package volumedemo

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"cutaway/internal/inside"
	"cutaway/internal/needs"
)

func TestMain(m *testing.M) {
	inside.Main()
	os.Exit(m.Run())
}

// inMountNamespace moves the test to a mount namespace of its own with a tmpfs
// to work in. The thread is never given back: it ends with the test, and with it
// all that was mounted.
func inMountNamespace(t *testing.T) string {
	t.Helper()
	needs.Root(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := unix.Mount("cutaway", dir, "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
