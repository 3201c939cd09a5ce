package journal

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Lock is the right to run labs, held by one process at a time: two labs at
// once would see each other's doings as their own.
type Lock struct {
	path string
	file *os.File
}

// Busy is the error of a second run at the same time.
type Busy struct{ Holder string }

func (b *Busy) Error() string {
	return fmt.Sprintf("another cutaway is running a lab (process %s); wait for it, or end it with: kill %s", b.Holder, b.Holder)
}

// Take locks the run folder (flock(2)). The lock dies with its holder, so it
// is never stale.
func Take(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the run folder: %w", err)
	}
	path := lockPath(dir)
	for {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, fmt.Errorf("open the lock: %w", err)
		}
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			holder, _ := io.ReadAll(file)
			file.Close()
			return nil, &Busy{Holder: strings.TrimSpace(string(holder))}
		}
		// The former holder unlinks the file before it lets go of it: we may
		// have locked one that nobody can find any more.
		if sameFile(file, path) {
			lock := &Lock{path: path, file: file}
			if err := sign(file); err != nil {
				lock.Release()
				return nil, fmt.Errorf("write the lock: %w", err)
			}
			return lock, nil
		}
		file.Close()
	}
}

func lockPath(dir string) string { return filepath.Join(dir, "lock") }

func sign(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintln(file, os.Getpid())
	return err
}

func sameFile(file *os.File, path string) bool {
	a, errA := file.Stat()
	b, errB := os.Stat(path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// Release unlinks the lock and lets it go.
func (l *Lock) Release() {
	os.Remove(l.path)
	l.file.Close()
	removeEmpty(filepath.Dir(l.path))
}
