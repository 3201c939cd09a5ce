package volumedemo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Store keeps the volumes below one folder, as Docker lays them out:
//
//	volumes/
//	  data/             a volume: the folder is its whole existence
//	    _data/          what containers see, and the source of their mounts
//	    labels.json     its labels, where it has some
//	  .new-123456/      one being made: renamed when it is whole
//	  .gone-123456/     one being removed: renamed first
//
// A rename is one step for the kernel, so nobody ever sees half a volume, and
// what a crash leaves has a dot in front. Docker keeps labels in a database
// (metadata.db); here each volume has its own in a file.
//
// Many programs may use a store at once. Whoever makes or takes volumes into
// use holds the folder's lock shared, whoever removes some holds it alone
// (flock(2)).
type Store struct {
	Dir string // such as /var/lib/cutaway/volumes
}

const (
	dataName   = "_data"
	labelsName = "labels.json"
	newPrefix  = ".new-"
	gonePrefix = ".gone-"
)

// AnonymousLabel marks a volume that nobody gave a name, as Docker does since
// version 23. Prune takes those only, unless it is told to take all.
const AnonymousLabel = "com.docker.volume.anonymous"

// ErrNotExist says that there is no volume of that name.
var ErrNotExist = errors.New("no such volume")

// InUse says that containers still use a volume.
type InUse struct {
	Name  string
	Users []string // the containers
}

func (e *InUse) Error() string {
	return fmt.Sprintf("remove %s: volume is in use - [%s]", e.Name, strings.Join(e.Users, ", "))
}

// Data is the folder of a volume's content: the source of its mounts.
func (s *Store) Data(name string) string { return filepath.Join(s.Dir, name, dataName) }

// Hold keeps every volume from being removed until release is called (flock(2),
// LOCK_SH). Hold it from the choice of volumes until it is on disk who uses them.
func (s *Store) Hold() (release func() error, err error) { return s.lock(unix.LOCK_SH) }

func (s *Store) lock(how int) (release func() error, err error) {
	if err := os.MkdirAll(s.Dir, 0o701); err != nil { // as Docker's: no listing, but a way through
		return nil, fmt.Errorf("make the folder of volumes: %w", err)
	}
	dir, err := os.Open(s.Dir)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(dir.Fd()), how)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("flock(%s): %w", s.Dir, err), dir.Close())
	}
	return dir.Close, nil
}

// names lists the volumes: folders with a legal name and a _data in them.
func (s *Store) names() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if CheckName(e.Name()) == nil && isFolder(s.Data(e.Name())) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// isFolder does not follow a symlink: a volume is a folder.
func isFolder(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}
