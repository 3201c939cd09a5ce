package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"cutaway/unionfs"
	"cutaway/unionfs/quota"
	"cutaway/unionfs/treediff"
)

// Driver is a store of full copies.
type Driver struct {
	treediff.Trees
	home  string // .../vfs
	dirs  string // .../vfs/dir
	limit *quota.Control
	noQuo error
}

// Open makes the folder home if need be and takes away what dead processes left
// half made there.
func Open(home string) (*Driver, error) {
	d := &Driver{home: home, dirs: filepath.Join(home, "dir")}
	if err := os.MkdirAll(d.dirs, 0o710); err != nil {
		return nil, err
	}
	d.Trees = treediff.Of(d)
	d.limit, d.noQuo = quota.Open(d.dirs)
	if _, err := unionfs.Sweep(d.dirs, nil); err != nil {
		return nil, err
	}
	return d, nil
}

// Name is "vfs".
func (d *Driver) Name() string { return "vfs" }

// Home is the folder given to Open.
func (d *Driver) Home() string { return d.home }

// Close has nothing to give back.
func (d *Driver) Close() error { return nil }

func (d *Driver) path(id string) string { return filepath.Join(d.dirs, id) }

// Create copies the parent's tree.
func (d *Driver) Create(id, parent string, opts unionfs.CreateOptions) error {
	if opts.Size > 0 && d.noQuo != nil {
		return d.noQuo
	}
	if parent != "" && !d.Exists(parent) {
		return fmt.Errorf("create layer %s: parent %s: %w", id, parent, fs.ErrNotExist)
	}
	stage, err := unionfs.NewStage(d.dirs, id)
	if err != nil {
		return err
	}
	if err := d.fill(stage.Dir, parent, opts); err != nil {
		return errors.Join(fmt.Errorf("create layer %s: %w", id, err), stage.Discard())
	}
	return stage.Commit()
}

func (d *Driver) fill(dir, parent string, opts unionfs.CreateOptions) error {
	if err := os.Chmod(dir, 0o755); err != nil { // it is a container's "/"
		return err
	}
	if opts.Size > 0 {
		if err := d.limit.Set(dir, opts.Size); err != nil {
			return err
		}
	}
	if parent == "" {
		return nil
	}
	return CopyTree(d.path(parent), dir)
}

// Remove deletes the copy.
func (d *Driver) Remove(id string) error { return unionfs.RemoveDir(d.dirs, id, nil) }

// Exists says whether the copy is there under its final name.
func (d *Driver) Exists(id string) bool {
	fi, err := os.Lstat(d.path(id))
	return unionfs.CheckID(id) == nil && err == nil && fi.IsDir()
}

// List names the layers.
func (d *Driver) List() ([]string, error) { return unionfs.ListDir(d.dirs) }

// Mount returns the folder itself.
func (d *Driver) Mount(id string, _ unionfs.MountOptions) (*unionfs.Mount, error) {
	if !d.Exists(id) {
		return nil, fmt.Errorf("mount layer %s: %w", id, fs.ErrNotExist)
	}
	return unionfs.PlainMount(d.path(id)), nil
}

// Metadata is empty, as Docker's is for vfs.
func (d *Driver) Metadata(id string) (map[string]string, error) {
	if !d.Exists(id) {
		return nil, fmt.Errorf("layer %s: %w", id, fs.ErrNotExist)
	}
	return map[string]string{}, nil
}

// Status says whether copies share blocks here.
func (d *Driver) Status() []unionfs.Fact {
	share := "yes, copies share blocks (FICLONE)"
	if err := Reflink(d.dirs); err != nil {
		share = "no: " + err.Error()
	}
	return []unionfs.Fact{
		{Name: "Backing Filesystem", Value: unionfs.FileSystemName(d.home)},
		{Name: "Reflink", Value: share},
	}
}
