package volumedemo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Users names the containers that use a volume: running, stopped, or created
// and never started. The store asks while nobody can begin to use one.
type Users func(name string) ([]string, error)

// Remove removes a volume that nobody uses, with its content: rename(2),
// unlink(2). In use, it stays, and the error is an *InUse.
func (s *Store) Remove(name string, users Users) error {
	release, err := s.alone()
	if err != nil {
		return err
	}
	defer release()
	return s.remove(name, users)
}

func (s *Store) remove(name string, users Users) error {
	if _, err := s.Inspect(name); err != nil {
		return err
	}
	by, err := users(name)
	if err != nil {
		return err
	}
	if len(by) > 0 {
		return &InUse{name, by}
	}
	dir := filepath.Join(s.Dir, name)
	if err := refuseMounts(dir); err != nil {
		return err
	}
	gone, err := os.MkdirTemp(s.Dir, gonePrefix)
	if err != nil {
		return err
	}
	if err := os.Rename(dir, filepath.Join(gone, name)); err != nil {
		return errors.Join(fmt.Errorf("remove volume %s: %w", name, err), os.Remove(gone))
	}
	return errors.Join(os.RemoveAll(gone), ignoreMissing(os.Remove(s.fillMark(name))))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Pruned is what Prune removed.
type Pruned struct {
	Names []string
	Bytes int64
}

// Prune removes the volumes that nobody uses and that pick wants. It goes on
// after an error, and tells what was removed all the same.
func (s *Store) Prune(pick func(Info) bool, users Users) (Pruned, error) {
	var p Pruned
	release, err := s.alone()
	if err != nil {
		return p, err
	}
	defer release()
	all, err := s.List()
	if err != nil {
		return p, err
	}
	var errs []error
	for _, i := range all {
		if !pick(i) {
			continue
		}
		size, _ := s.Size(i.Name)
		var used *InUse
		switch err := s.remove(i.Name, users); {
		case errors.As(err, &used):
		case err != nil:
			errs = append(errs, err)
		default:
			p.Names, p.Bytes = append(p.Names, i.Name), p.Bytes+size
		}
	}
	return p, errors.Join(errs...)
}

// alone locks the store for one who removes, and clears what crashes left: as
// long as the lock is held, nobody is at work on those folders.
func (s *Store) alone() (release func() error, err error) {
	release, err = s.lock(unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.Dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), newPrefix) || strings.HasPrefix(e.Name(), gonePrefix) {
			err = errors.Join(err, s.clear(e))
		}
	}
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return release, nil
}

func (s *Store) clear(e fs.DirEntry) error {
	dir := filepath.Join(s.Dir, e.Name())
	if err := refuseMounts(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// refuseMounts keeps a recursive removal from running into another file system,
// which somebody has mounted in the volume, and deleting what is in there.
func refuseMounts(dir string) error {
	real, err := filepath.EvalSymlinks(dir) // mountinfo has no symlinks in its paths
	if err != nil {
		return err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(real))
	if err != nil {
		return err
	}
	for _, m := range mounts {
		return fmt.Errorf("remove %s: %s is mounted on %s; unmount it first: %w", dir, m.Source, m.Mountpoint, unix.EBUSY)
	}
	return nil
}
