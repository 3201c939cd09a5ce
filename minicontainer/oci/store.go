package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"golang.org/x/sys/unix"
)

// store is the state directory: a folder per container with
//
//	state.json    written as a whole or not at all
//	config.json   the bundle's, as it was at create: later edits have no effect
//	exec.fifo     there while the container is created and not started
//
// The folder itself is the claim on the name, and the lock.
type store struct {
	root string
}

func (s store) dir(id string) string { return filepath.Join(s.root, id) }

// claim makes the container's folder; of two at once one gets ErrExist (mkdir(2)).
func (s store) claim(id string) error {
	if err := ValidateID(id); err != nil {
		return err
	}
	if err := os.MkdirAll(s.root, 0o711); err != nil {
		return fmt.Errorf("state root: %w", err)
	}
	err := os.Mkdir(s.dir(id), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s", ErrExist, id)
	}
	return err
}

// lock keeps others from changing the container until the file is closed
// (flock(2)). A dead holder's lock is gone with it.
func (s store) lock(id string) (*os.File, error) {
	dir, err := os.Open(s.dir(id))
	if err != nil {
		return nil, s.missing(id, err)
	}
	for {
		if err = unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		dir.Close()
		return nil, fmt.Errorf("flock %s: %w", dir.Name(), err)
	}
	return dir, nil
}

// save writes state.json beside and renames it: a reader, or a crash, sees the
// old text or the new one, never half of it (rename(2)).
func (s store) save(st *State) error {
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	temp := filepath.Join(s.dir(st.ID), ".state.json")
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(s.dir(st.ID), "state.json"))
}

// load reads a container's state.
func (s store) load(id string) (*State, error) {
	if err := ValidateID(id); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(s.dir(id), "state.json"))
	if err != nil {
		return nil, s.missing(id, err)
	}
	var st State
	if err := json.Unmarshal(text, &st); err != nil {
		return nil, fmt.Errorf("the state of container %s is damaged: %s/state.json: %w", id, s.dir(id), err)
	}
	return &st, nil
}

func (s store) missing(id string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrNotExist, id)
	}
	return err
}

// ids lists the containers by name.
func (s store) ids() ([]string, error) {
	entries, err := os.ReadDir(s.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && ValidateID(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	sort.Strings(ids)
	return ids, err
}

// files are all that a container's folder ever holds. Removing them by name
// rather than the tree means that a wrong --root cannot delete anything else.
var files = []string{"exec.fifo", "config.json", ".state.json", "state.json"}

// remove forgets a container. state.json goes last: until then it can be tried again.
func (s store) remove(id string) error {
	for _, name := range files {
		if err := os.Remove(filepath.Join(s.dir(id), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := os.Remove(s.dir(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
