package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultCacheDir is where kernels and initramfs files are kept between runs:
// $XDG_CACHE_HOME/cutaway or ~/.cache/cutaway. All in it can be deleted at any time.
func DefaultCacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", &Failure{What: "find the cache folder", Err: err,
			Try: "set HOME, or XDG_CACHE_HOME to a folder of your own"}
	}
	return filepath.Join(dir, "cutaway"), nil
}

// lockCache waits until no other process makes something in dir; the returned
// function lets the next one in. The kernel drops a flock(2) when its holder dies,
// however it dies. The lock file stays: removing it would let two in at once.
func lockCache(ctx context.Context, dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("flock(%s, LOCK_EX|LOCK_NB): %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for another cutaway to finish in %s: %w", dir, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// buildOnce makes the file or folder final by calling build with a temporary name
// beside it, then renaming: a reader sees all of it or nothing, and after an error
// or a kill nothing half-made is taken for whole. Temporary leftovers of killed
// builders, whatever they made, are removed by the next, who alone holds the lock.
func buildOnce(ctx context.Context, final string, build func(temp string) error) error {
	if _, err := os.Stat(final); err == nil {
		return nil
	}
	dir, name := filepath.Split(final)
	unlock, err := lockCache(ctx, dir)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(final); err == nil {
		return nil // the one whom we waited for made it
	}
	temp := filepath.Join(dir, "."+name+".part")
	left, _ := filepath.Glob(filepath.Join(dir, ".*.part"))
	for _, old := range left {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	err = build(temp)
	if err == nil {
		err = os.Rename(temp, final)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return nil
}
