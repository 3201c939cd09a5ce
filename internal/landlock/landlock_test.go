package landlock

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRestrictThread reads and writes in two folders, one of which is allowed,
// in a thread that dies with its goroutine.
func TestRestrictThread(t *testing.T) {
	open, closed := t.TempDir(), t.TempDir()
	for _, dir := range []string{open, closed} {
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan []error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends here
		err := RestrictThread(open)
		read := func(dir string) error { _, err := os.ReadFile(filepath.Join(dir, "file")); return err }
		write := os.WriteFile(filepath.Join(closed, "file"), nil, 0)
		got <- []error{err, read(open), read(closed), write}
	}()
	errs := <-got
	if errors.Is(errs[0], unix.ENOSYS) || errors.Is(errs[0], unix.EOPNOTSUPP) {
		t.Skipf("needs Landlock (Linux 5.13, landlock in lsm=): %v", errs[0])
	}
	for i, want := range []error{nil, nil, unix.EACCES, unix.EACCES} {
		if !errors.Is(errs[i], want) {
			t.Errorf("error %d = %v; want %v", i, errs[i], want)
		}
	}
	if _, err := os.ReadFile(filepath.Join(closed, "file")); err != nil {
		t.Errorf("another thread is restricted as well: %v", err)
	}
}
