package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cutaway/unionfs"
)

// A Store is the images of one state root and one driver.
type Store struct {
	Driver unionfs.Driver
	root   string // the state root, such as /var/lib/cutaway
	dir    string // <root>/image/<driver>
}

// Open makes the folders if need be and takes back what dead processes left half
// done.
func Open(root string, driver unionfs.Driver) (*Store, error) {
	s := &Store{Driver: driver, root: root, dir: filepath.Join(root, "image", driver.Name())}
	for _, d := range []string{
		"imagedb/content/sha256", "imagedb/metadata/sha256",
		"layerdb/sha256", "layerdb/tmp", "layerdb/mounts", "distribution",
	} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o700); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "tmp"), 0o700); err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		return nil, err
	}
	return s, nil
}

// Root is the state root.
func (s *Store) Root() string { return s.root }

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// locked runs do while no other process changes this store. The lock is on the
// folder itself, so that no file is there that Docker would not have.
func (s *Store) locked(do func() error) error {
	f, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	defer f.Close() // lets the lock go
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("flock %s LOCK_EX: %w", s.dir, err)
	}
	return do()
}

// writeFile replaces a file in one step: a reader finds the old content or the
// new one, also after a crash.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-"+filepath.Base(path))
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// readMaybe reads a file that may be absent.
func readMaybe(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
