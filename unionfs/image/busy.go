package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrBusy is in the error of a Prune that met another process at work.
var ErrBusy = errors.New("another process is bringing an image in")

// Between the first layer of an image and its configuration, layers are here that
// nothing stands on. Whoever is at that holds flock(2) LOCK_SH on <root>/tmp;
// Prune, which would take such layers for leftovers, wants LOCK_EX. The kernel
// lets the lock of a killed process go.

// bringIn takes the shared lock. Closing the file lets it go.
func (s *Store) bringIn() (*os.File, error) { return s.lockTmp(unix.LOCK_SH, "LOCK_SH") }

// alone runs do while nobody brings anything in, or fails with ErrBusy.
func (s *Store) alone(do func() error) error {
	lock, err := s.lockTmp(unix.LOCK_EX|unix.LOCK_NB, "LOCK_EX|LOCK_NB")
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("look for leftovers in %s: %w; try again later", s.dir, ErrBusy)
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	return do()
}

func (s *Store) lockTmp(how int, name string) (*os.File, error) {
	f, err := os.Open(filepath.Join(s.root, "tmp"))
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("flock %s %s: %w", f.Name(), name, err)
	}
	return f, nil
}
