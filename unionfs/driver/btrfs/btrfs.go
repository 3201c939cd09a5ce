package btrfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"cutaway/unionfs"
	"cutaway/unionfs/treediff"
)

// Driver is a store of subvolumes.
type Driver struct {
	treediff.Trees
	home    string // .../btrfs
	volumes string // .../btrfs/subvolumes
	quotas  string // .../btrfs/quotas
}

// Open needs home to lie on a btrfs.
func Open(home string) (*Driver, error) {
	d := &Driver{home: home, volumes: filepath.Join(home, "subvolumes"), quotas: filepath.Join(home, "quotas")}
	d.Trees = treediff.Of(d)
	if err := os.MkdirAll(d.volumes, 0o710); err != nil {
		return nil, err
	}
	if name := unionfs.FileSystemName(home); name != "btrfs" {
		return nil, &unionfs.Unsupported{
			What: "driver btrfs", Reason: fmt.Sprintf("%s lies on %s", home, name),
			Remedy: "put --root on a btrfs, such as a file with mkfs.btrfs mounted through a loop device",
		}
	}
	return d, nil
}

// Name is "btrfs".
func (d *Driver) Name() string { return "btrfs" }

// Home is the folder given to Open.
func (d *Driver) Home() string { return d.home }

// Close has nothing to give back.
func (d *Driver) Close() error { return nil }

func (d *Driver) path(id string) string { return filepath.Join(d.volumes, id) }

// Create makes an empty subvolume, or a snapshot of the parent. Either is one
// ioctl, in one transaction: there is no half-made state to care for.
func (d *Driver) Create(id, parent string, opts unionfs.CreateOptions) error {
	if err := unionfs.CheckID(id); err != nil {
		return err
	}
	if d.Exists(id) {
		return fmt.Errorf("create layer %s: %w", id, fs.ErrExist)
	}
	var err error
	if parent == "" {
		err = CreateSubvolume(d.volumes, id)
	} else if !d.Exists(parent) {
		err = fmt.Errorf("parent %s: %w", parent, fs.ErrNotExist)
	} else {
		err = Snapshot(d.path(parent), d.volumes, id)
	}
	if err != nil {
		return fmt.Errorf("create layer %s: %w", id, err)
	}
	if opts.Size == 0 {
		return nil
	}
	if err := d.limit(id, opts.Size); err != nil {
		return errors.Join(fmt.Errorf("create layer %s: %w", id, err), d.Remove(id))
	}
	return nil
}

// limit turns quota on when first needed, since counting costs every write of
// the file system, and notes the limit where Docker does.
func (d *Driver) limit(id string, bytes uint64) error {
	if _, err := ReadSpace(d.path(id)); errors.Is(err, fs.ErrNotExist) {
		if err := EnableQuota(d.home); err != nil {
			return err
		}
	}
	if err := LimitSubvolume(d.path(id), bytes); err != nil {
		return err
	}
	if err := os.MkdirAll(d.quotas, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.quotas, id), []byte(strconv.FormatUint(bytes, 10)), 0o644)
}

// Remove deletes the subvolume. Snapshots of it stay whole.
func (d *Driver) Remove(id string) error {
	if err := unionfs.CheckID(id); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(d.quotas, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Lstat(d.path(id)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := DeleteSubvolume(d.volumes, id); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove layer %s: %w", id, err)
	}
	return nil
}

// Exists says whether the subvolume is there.
func (d *Driver) Exists(id string) bool {
	is, err := IsSubvolume(d.path(id))
	return unionfs.CheckID(id) == nil && err == nil && is
}

// List names the subvolumes.
func (d *Driver) List() ([]string, error) { return unionfs.ListDir(d.volumes) }

// Mount returns the subvolume's folder.
func (d *Driver) Mount(id string, _ unionfs.MountOptions) (*unionfs.Mount, error) {
	if !d.Exists(id) {
		return nil, fmt.Errorf("mount layer %s: %w", id, fs.ErrNotExist)
	}
	return unionfs.PlainMount(d.path(id)), nil
}

// Metadata is empty, as Docker's is for btrfs.
func (d *Driver) Metadata(id string) (map[string]string, error) {
	if !d.Exists(id) {
		return nil, fmt.Errorf("layer %s: %w", id, fs.ErrNotExist)
	}
	return map[string]string{}, nil
}

// Status says whether quota groups count.
func (d *Driver) Status() []unionfs.Fact {
	quota := "on"
	if _, err := ReadSpace(d.home); err != nil {
		quota = "off"
	}
	return []unionfs.Fact{
		{Name: "Backing Filesystem", Value: unionfs.FileSystemName(d.home)},
		{Name: "Quota groups", Value: quota},
	}
}
