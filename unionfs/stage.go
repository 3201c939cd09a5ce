package unionfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A layer folder is made under another name and renamed when it is whole, and
// renamed away before it is taken apart:
//
//	<id>-creating  --rename-->  <id>  --rename-->  <id>-removing  --> gone
//
// rename(2) is atomic, so whoever looks finds either the whole layer or none,
// also after a kill -9 or a power cut. What a dead process left is known by its
// ending. What a living process is still busy with is known by the flock(2) that
// it holds on the folder: the kernel drops that lock when the process dies,
// however it dies, so no pid has to be written down and guessed about.
const (
	creating = "-creating"
	removing = "-removing"
)

// A Stage is a folder on its way to become layer <id>.
type Stage struct {
	Dir   string // <home>/<id>-creating
	final string
	lock  *os.File
}

// NewStage makes and locks <home>/<id>-creating. It fails with fs.ErrExist when
// the layer is there already or is being made by somebody else.
func NewStage(home, id string) (*Stage, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	final := filepath.Join(home, id)
	if _, err := os.Lstat(final); err == nil {
		return nil, fmt.Errorf("create layer %s: %w", id, fs.ErrExist)
	}
	dir := final + creating
	lock, err := claimDir(dir)
	if err != nil {
		return nil, fmt.Errorf("create layer %s: %w", id, err)
	}
	return &Stage{Dir: dir, final: final, lock: lock}, nil
}

// claimDir makes and locks a folder. Between the two steps it looks like what a
// dead process left, and a sweeper may take it away: then it is made again. The
// lock counts only if the folder that was locked still has the name.
func claimDir(dir string) (*os.File, error) {
	if err := os.Mkdir(dir, 0o710); err != nil {
		return nil, err
	}
	for range 1000 {
		lock, err := lockDir(dir)
		if err == nil {
			if ours, named := lock.Stat(); named == nil && hasName(dir, ours) {
				return lock, nil
			}
			lock.Close()
		}
		time.Sleep(time.Millisecond)
		if err := os.Mkdir(dir, 0o710); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("lock %s: %w", dir, unix.EBUSY)
}

func hasName(path string, info fs.FileInfo) bool {
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(there, info)
}

// Commit gives the folder its name. RENAME_NOREPLACE, because plain rename(2)
// would put it in place of an empty folder of that name without a word.
func (s *Stage) Commit() error {
	defer s.lock.Close()
	err := unix.Renameat2(unix.AT_FDCWD, s.Dir, unix.AT_FDCWD, s.final, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) { // a file system without renameat2 flags, such as zfs-fuse
		err = os.Rename(s.Dir, s.final)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("rename %s to %s: %w", s.Dir, s.final, err), os.RemoveAll(s.Dir))
	}
	return nil
}

// Discard takes the unfinished folder away.
func (s *Stage) Discard() error {
	defer s.lock.Close()
	return os.RemoveAll(s.Dir)
}

// RemoveDir takes <home>/<id> away: renamed first, so that a reader never meets
// half a layer. before is as for Sweep: it must see the folder while it is whole,
// for a process that is killed amid the removal leaves no more than a part of
// it. An absent folder is no error.
func RemoveDir(home, id string, before func(dir string) error) error {
	if err := CheckID(id); err != nil {
		return err
	}
	dir := filepath.Join(home, id)
	gone := dir + removing
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// What an interrupted removal of an earlier layer of this name left.
	if err := sweepDir(gone, before); err != nil {
		return err
	}
	if err := os.Rename(dir, gone); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("remove layer %s: %w", id, err)
	}
	return sweepDir(gone, before)
}

// Sweep takes away what dead processes left half made or half removed in home.
// before is called with each folder first, for marks that a driver keeps
// elsewhere (overlay2's short names); nil for none. It returns the folders' names.
func Sweep(home string, before func(dir string) error) ([]string, error) {
	entries, err := os.ReadDir(home)
	if err != nil {
		return nil, err
	}
	var swept []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), creating) && !strings.HasSuffix(e.Name(), removing) {
			continue
		}
		dir := filepath.Join(home, e.Name())
		lock, err := lockDir(dir)
		if err != nil {
			continue // its maker lives, or somebody else swept it just now
		}
		err = sweepDir(dir, before)
		lock.Close()
		if err != nil {
			return swept, err
		}
		swept = append(swept, e.Name())
	}
	return swept, nil
}

func sweepDir(dir string, before func(string) error) error {
	if before != nil {
		if err := before(dir); err != nil {
			return fmt.Errorf("remove %s: %w", dir, err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return nil
}

// lockDir takes an exclusive flock(2) on a folder, without waiting.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("flock %s LOCK_EX|LOCK_NB: %w", dir, err)
	}
	return f, nil
}

// ListDir names the finished layers of a home that holds one folder for each.
func ListDir(home string) ([]string, error) {
	entries, err := os.ReadDir(home)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && CheckID(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}
