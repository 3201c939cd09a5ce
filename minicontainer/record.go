package minicontainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func (e *Engine) containerDir(id string) string { return filepath.Join(e.root, "containers", id) }

// File is a path in the container's folder.
func (e *Engine) File(id, name string) string { return filepath.Join(e.containerDir(id), name) }

// save writes both files of a record. hostconfig.json first: a container exists
// from the moment that config.v2.json does.
func (e *Engine) save(c *Container) error {
	if err := writeJSON(e.File(c.ID, "hostconfig.json"), &c.HostConfig); err != nil {
		return err
	}
	return e.saveState(c)
}

// saveState writes config.v2.json alone: the other file changes with `update`
// only. While there is something of the container beside its files, room for one
// more such text is kept: how it ended has to be written even on a full disk.
func (e *Engine) saveState(c *Container) error {
	path := e.File(c.ID, "config.v2.json")
	if err := writeJSON(path, c); err != nil {
		return err
	}
	if c.State.Stale() {
		reserve(path)
	}
	return nil
}

// beside is where the next text of a file is written before it takes its place.
func beside(path string) string {
	return filepath.Join(filepath.Dir(path), ".tmp-"+filepath.Base(path))
}

// room is more than a record needs.
const room = 16 << 10

// reserve has the file system keep blocks for the next text (fallocate(2)). Where
// it cannot, because it is full or writes nothing in place, the next writer sees.
func reserve(path string) {
	f, err := os.OpenFile(beside(path), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	unix.Fallocate(int(f.Fd()), 0, 0, room)
}

// writeJSON writes beside and renames (rename(2)): a reader, or a crash, sees
// the old text or the new one. Not synced to disk: a container's life writes five
// times, which would be some milliseconds of waiting for the disk. What a record
// says about a running container is worth nothing after a power cut anyway, a file
// system that orders rename after data gives the last whole one, and on others a
// record that was lost is known as such (Damaged).
func writeJSON(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := overwrite(beside(path), text); err != nil {
		return err
	}
	return os.Rename(beside(path), path)
}

// overwrite uses the blocks that the file has: not O_TRUNC, which would give
// them up first.
func overwrite(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Truncate(int64(len(text)))
	}
	return errors.Join(err, f.Close())
}

// noRoom says that a file system, or a user's part of it, is full.
func noRoom(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func readJSON(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// load reads a record as it is on disk, by the whole id.
func (e *Engine) load(id string) (*Container, error) {
	c := &Container{}
	err := readJSON(e.File(id, "config.v2.json"), c)
	if err == nil {
		err = readJSON(e.File(id, "hostconfig.json"), &c.HostConfig)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NotFound{id}
	}
	if err == nil && c.ID != id {
		err = fmt.Errorf("%s: it names no container, or another", e.File(id, "config.v2.json"))
	}
	return c, damaged("container "+ShortID(id), "cutaway rm "+ShortID(id), err)
}

// Read reads a record as it is, by the whole id.
func (e *Engine) Read(id string) (*Container, error) { return e.load(id) }

// Save writes a changed record that the caller has locked.
func (e *Engine) Save(c *Container) error { return e.saveState(c) }

// Change changes a record while nobody else does: it is read again under the
// lock, and written when fn is content.
func (e *Engine) Change(id string, fn func(*Container) error) (*Container, error) {
	lock, err := e.lock(id)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	c, err := e.load(id)
	if err != nil {
		return nil, err
	}
	if err := fn(c); err != nil {
		return c, err
	}
	return c, e.saveState(c)
}

// lock keeps others from changing the container until the file is closed. The
// lock is on the folder (flock(2)), so a dead holder's is gone with it.
func (e *Engine) lock(id string) (*os.File, error) {
	dir, err := os.Open(e.containerDir(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NotFound{id}
	}
	if err != nil {
		return nil, err
	}
	return dir, flock(dir, unix.LOCK_EX)
}

// flock closes the file when the lock is not to be had.
func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			err = fmt.Errorf("flock %s: %w", f.Name(), err)
			f.Close()
		}
		return err
	}
}

// BootID is this boot's name. What another boot left on disk about processes,
// mounts and links is about nothing.
func BootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text)), err
}
