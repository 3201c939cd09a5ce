package zfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cutaway/unionfs"
	"cutaway/unionfs/treediff"
)

// Driver is a store of datasets.
type Driver struct {
	treediff.Trees
	home    string // .../zfs
	dataset string // the dataset that the layers' are made in, such as "pool/docker"
	claims  unionfs.Claims
}

// Open uses the existing dataset, which may be a pool's name.
func Open(home, dataset string) (*Driver, error) {
	if _, err := exec.LookPath("zfs"); err != nil {
		return nil, &unionfs.Unsupported{
			What: "driver zfs", Reason: "there is no command zfs",
			Remedy: "install zfsutils-linux, or zfs-fuse where the kernel has no module",
		}
	}
	if _, err := run("list", "-H", "-o", "name", dataset); err != nil {
		return nil, &unionfs.Unsupported{
			What: "driver zfs", Reason: err.Error(),
			Remedy: "create a pool with zpool create, and start zfs-fuse where the kernel has no module",
		}
	}
	if err := os.MkdirAll(filepath.Join(home, "graph"), 0o710); err != nil {
		return nil, err
	}
	d := &Driver{home: home, dataset: dataset}
	d.Trees = treediff.Of(d)
	return d, nil
}

// Name is "zfs".
func (d *Driver) Name() string { return "zfs" }

// Home is the folder given to Open.
func (d *Driver) Home() string { return d.home }

// Close has nothing to give back.
func (d *Driver) Close() error { return nil }

func (d *Driver) name(id string) string       { return d.dataset + "/" + id }
func (d *Driver) mountPoint(id string) string { return filepath.Join(d.home, "graph", id) }

// Create makes a dataset, or a clone of the parent. The dataset is complete, or
// not there: zfs sets properties in the transaction that creates it.
func (d *Driver) Create(id, parent string, opts unionfs.CreateOptions) error {
	if err := unionfs.CheckID(id); err != nil {
		return err
	}
	props := []string{"-o", "mountpoint=" + d.mountPoint(id), "-o", "canmount=noauto"}
	if opts.Size > 0 {
		props = append(props, "-o", "quota="+strconv.FormatUint(opts.Size, 10))
	}
	var err error
	if parent == "" {
		_, err = run(append(append([]string{"create"}, props...), d.name(id))...)
	} else {
		err = d.clone(id, parent, props)
	}
	if err != nil {
		return fmt.Errorf("create layer %s: %w", id, err)
	}
	return nil
}

// clone freezes the parent under the new layer's name and clones that. The
// deferred destroy keeps the snapshot just as long as the clone needs it.
func (d *Driver) clone(id, parent string, props []string) error {
	if d.Exists(id) {
		return fs.ErrExist
	}
	snapshot := d.name(parent) + "@" + id
	if _, err := run("snapshot", snapshot); errors.Is(err, fs.ErrExist) {
		// Left by a process that died between the two commands.
		if _, err := run("destroy", snapshot); err != nil {
			return err
		}
		if _, err := run("snapshot", snapshot); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	_, err := run(append(append([]string{"clone"}, props...), snapshot, d.name(id))...)
	if err == nil {
		err = d.unmount(id) // older zfs mounts a clone whatever canmount says
	}
	if _, derr := run("destroy", "-d", snapshot); derr != nil {
		err = errors.Join(err, derr)
	}
	return err
}

// Remove destroys the dataset with its snapshots. Layers that stand on it make
// it fail with EBUSY.
func (d *Driver) Remove(id string) error {
	if err := unionfs.CheckID(id); err != nil {
		return err
	}
	if err := d.claims.Free(d.mountPoint(id)); err != nil {
		return fmt.Errorf("remove layer %s: %w", id, err)
	}
	err := whileBusy("destroy", "-r", d.name(id))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove layer %s: %w", id, err)
	}
	if err := os.Remove(d.mountPoint(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Exists asks zfs list.
func (d *Driver) Exists(id string) bool {
	if unionfs.CheckID(id) != nil {
		return false
	}
	_, err := run("list", "-H", "-o", "name", d.name(id))
	return err == nil
}

// List asks zfs list.
func (d *Driver) List() ([]string, error) {
	rows, err := fields("list", "-H", "-r", "-t", "filesystem", "-o", "name", d.dataset)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, row := range rows {
		if id, ok := strings.CutPrefix(row[0], d.dataset+"/"); ok && !strings.Contains(id, "/") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// Mount runs `zfs mount`, and makes sure that the mount came up where we are.
func (d *Driver) Mount(id string, _ unionfs.MountOptions) (*unionfs.Mount, error) {
	if !d.Exists(id) {
		return nil, fmt.Errorf("mount layer %s: %w", id, fs.ErrNotExist)
	}
	target := d.mountPoint(id)
	mount := func() error {
		if err := d.mount(id); err != nil {
			return err
		}
		if there, err := unionfs.IsMountPoint(target); err != nil || !there {
			d.unmount(id)
			return &unionfs.Unsupported{
				What: "driver zfs", Reason: "the dataset was mounted, but not in this mount namespace",
				Remedy: "start zfs-fuse in the mount namespace that cutaway runs in",
			}
		}
		return nil
	}
	unmount := func() error {
		if err := d.unmount(id); err != nil {
			return err
		}
		err := os.Remove(target)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return d.claims.Claim(target, target, mount, unmount)
}

// mount mounts the dataset at its mount point.
func (d *Driver) mount(id string) error { return whileBusy("mount", d.name(id)) }

// whileBusy tries for a second while the dataset is busy: zfs-fuse answers an
// unmount before it has let the dataset go.
func whileBusy(args ...string) error {
	var err error
	for range 50 {
		if _, err = run(args...); !errors.Is(err, errBusy) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// unmount takes the dataset's mount away, if it has one.
func (d *Driver) unmount(id string) error {
	_, err := run("unmount", d.name(id))
	if errors.Is(err, errNotMounted) {
		return nil
	}
	return err
}

// Space is what zfs counts for one layer.
type Space struct {
	Used       uint64 // bytes that destroying the layer would free
	Referenced uint64 // bytes that the layer's tree takes, shared ones included
	Origin     string // the snapshot that it is a clone of, "" for none
}

// ReadSpace reads the properties used, referenced and origin, see zfs(8).
func (d *Driver) ReadSpace(id string) (Space, error) {
	rows, err := fields("get", "-H", "-p", "-o", "value", "used,referenced,origin", d.name(id))
	if err != nil {
		return Space{}, err
	}
	if len(rows) != 3 {
		return Space{}, fmt.Errorf("zfs get %s: %d lines; want 3", d.name(id), len(rows))
	}
	var s Space
	var uerr, rerr error
	s.Used, uerr = strconv.ParseUint(rows[0][0], 10, 64)
	s.Referenced, rerr = strconv.ParseUint(rows[1][0], 10, 64)
	if rows[2][0] != "-" {
		s.Origin = rows[2][0]
	}
	return s, errors.Join(uerr, rerr)
}

// A Snapshot is a frozen state of a layer, which clones stand on.
type Snapshot struct {
	Name     string // "pool/base@top"
	Deferred bool   // it goes away by itself with the last clone
}

// Snapshots lists a layer's snapshots with the property defer_destroy, see zfs(8).
func (d *Driver) Snapshots(id string) ([]Snapshot, error) {
	rows, err := fields("list", "-H", "-r", "-t", "snapshot", "-o", "name,defer_destroy", d.name(id))
	if err != nil {
		return nil, err
	}
	var all []Snapshot
	for _, row := range rows {
		if len(row) == 2 {
			all = append(all, Snapshot{Name: row[0], Deferred: row[1] == "on"})
		}
	}
	return all, nil
}

// Metadata names the dataset and its place, as `docker inspect` does.
func (d *Driver) Metadata(id string) (map[string]string, error) {
	if !d.Exists(id) {
		return nil, fmt.Errorf("layer %s: %w", id, fs.ErrNotExist)
	}
	return map[string]string{"Dataset": d.name(id), "Mountpoint": d.mountPoint(id)}, nil
}

// Status says what the parent dataset holds.
func (d *Driver) Status() []unionfs.Fact {
	facts := []unionfs.Fact{{Name: "Zpool", Value: strings.Split(d.dataset, "/")[0]}, {Name: "Parent Dataset", Value: d.dataset}}
	rows, err := fields("get", "-H", "-o", "property,value", "used,available,compression", d.dataset)
	if err != nil {
		return append(facts, unionfs.Fact{Name: "Error", Value: err.Error()})
	}
	for _, row := range rows {
		if len(row) == 2 {
			facts = append(facts, unionfs.Fact{Name: row[0], Value: row[1]})
		}
	}
	return facts
}
