package devicemapper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cutaway/unionfs"
	"cutaway/unionfs/treediff"
)

// baseName is the device with the empty file system.
const baseName = "base"

// Options are about the file systems on the devices.
type Options struct {
	BaseSize   uint64 // bytes of each device, 0 for Docker's 10 GiB
	FileSystem string // "ext4" or "xfs", "" for ext4
	Prefix     string // of the names of active devices, which all of the machine share; "" for "cutaway-"
}

// Driver is a store of thin devices.
type Driver struct {
	treediff.Trees
	home   string
	pool   Pool
	opts   Options
	claims unionfs.Claims
}

// Open makes the folders if need be, finishes what a dead process left, and on
// first use makes the base device with its file system.
func Open(home string, pool Pool, opts Options) (*Driver, error) {
	if opts.BaseSize == 0 {
		opts.BaseSize = 10 << 30
	}
	if opts.FileSystem == "" {
		opts.FileSystem = "ext4"
	}
	if opts.Prefix == "" {
		opts.Prefix = "cutaway-"
	}
	d := &Driver{home: home, pool: pool, opts: opts}
	d.Trees = treediff.Of(d)
	for _, sub := range []string{"metadata", "mnt", "devicemapper"} {
		if err := os.MkdirAll(filepath.Join(home, sub), 0o700); err != nil {
			return nil, err
		}
	}
	return d, d.exclusive(d.ensureBase)
}

// ensureBase makes the device that all layers are snapshots of. mkfs runs once
// here instead of once for every bottom layer.
func (d *Driver) ensureBase() error {
	if dev, err := d.device(baseName); err == nil && dev.Initialized {
		return nil
	}
	return d.make(baseName, d.opts.BaseSize, func(device uint32) error {
		if err := d.pool.CreateThin(device); err != nil {
			return err
		}
		node, err := d.pool.Activate(d.activeName(baseName), device, d.opts.BaseSize)
		if err != nil {
			return err
		}
		return errors.Join(mkfs(d.opts.FileSystem, node), d.pool.Deactivate(d.activeName(baseName)))
	})
}

// mkfs makes a file system without the parts that a throwaway layer has no use
// for.
func mkfs(kind, node string) error {
	args := []string{"mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", node}
	if kind == "xfs" {
		args = []string{"mkfs.xfs", "-q", "-f", "-K", node}
	}
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%q: %w: %s", args, err, out)
	}
	return nil
}

// make runs create inside a transaction for a new device id, and notes the
// device at the end.
func (d *Driver) make(name string, size uint64, create func(device uint32) error) error {
	device, tx, err := d.nextDevice()
	if err != nil {
		return err
	}
	if err := d.save(transactionFile, transaction{OpenTransactionID: tx, DeviceIDHash: name, DeviceID: device}); err != nil {
		return err
	}
	if err := create(device); err != nil {
		return errors.Join(err, d.finishTransaction())
	}
	dev := Device{DeviceID: device, Size: size, TransactionID: tx, Initialized: name == baseName}
	if err := d.save(name, dev); err != nil {
		return errors.Join(err, d.finishTransaction())
	}
	return d.finishTransaction()
}

func (d *Driver) activeName(id string) string { return d.opts.Prefix + id }

func (d *Driver) mnt(id string) string { return filepath.Join(d.home, "mnt", id) }

// Name is "devicemapper".
func (d *Driver) Name() string { return "devicemapper" }

// Home is the folder given to Open.
func (d *Driver) Home() string { return d.home }

// Close has nothing to give back: the pool belongs to the caller.
func (d *Driver) Close() error { return nil }

// checkID refuses ids that are names of the driver's own files.
func checkID(id string) error {
	if id == baseName || id == transactionFile || id == "deviceset-metadata" {
		return fmt.Errorf("layer id %q: metadata/%s is the driver's own file", id, id)
	}
	return unionfs.CheckID(id)
}

// Create makes a snapshot of the parent's device, or of base.
func (d *Driver) Create(id, parent string, opts unionfs.CreateOptions) error {
	if err := checkID(id); err != nil {
		return err
	}
	if opts.Size > 0 {
		return &unionfs.Unsupported{
			What: "a size limit", Reason: "a layer is as large as the base device",
			Remedy: "choose the base size when the store is made",
		}
	}
	return d.exclusive(func() error { return d.snapshot(id, parent) })
}

func (d *Driver) snapshot(id, parent string) error {
	if d.Exists(id) {
		return fmt.Errorf("create layer %s: %w", id, fs.ErrExist)
	}
	if parent == "" {
		parent = baseName
	}
	origin, err := d.device(parent)
	if err != nil {
		return fmt.Errorf("create layer %s: parent %s: %w", id, parent, err)
	}
	err = d.make(id, origin.Size, func(device uint32) error {
		return d.pool.CreateSnap(device, origin.DeviceID)
	})
	if err != nil {
		return fmt.Errorf("create layer %s: %w", id, err)
	}
	return nil
}

// Remove deletes the thin device. Snapshots of it keep their blocks.
func (d *Driver) Remove(id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	if err := d.claims.Free(d.mnt(id)); err != nil {
		return fmt.Errorf("remove layer %s: %w", id, err)
	}
	return d.exclusive(func() error { return d.remove(id) })
}

// remove notes the device as a transaction and takes the layer's own file away;
// then finishTransaction finds a device that no layer has, and deletes it. After
// a crash anywhere in between, the next process does the same.
func (d *Driver) remove(id string) error {
	dev, err := d.device(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// A process that was killed may have left the device active.
	if err := d.pool.Deactivate(d.activeName(id)); err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("remove layer %s: %w", id, err)
	}
	if err := d.save(transactionFile, transaction{DeviceIDHash: id, DeviceID: dev.DeviceID}); err != nil {
		return err
	}
	if err := os.Remove(d.metadata(id)); err != nil {
		return err
	}
	if err := os.Remove(d.mnt(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.finishTransaction()
}

// Exists says whether the layer's metadata file is there.
func (d *Driver) Exists(id string) bool {
	_, err := os.Lstat(d.metadata(id))
	return checkID(id) == nil && err == nil
}

// List names the layers.
func (d *Driver) List() ([]string, error) {
	entries, err := os.ReadDir(d.metadata(""))
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if checkID(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// Mount activates the device and mounts its file system at mnt/<id>. The tree is
// in its folder rootfs, beside the file system's own lost+found.
func (d *Driver) Mount(id string, opts unionfs.MountOptions) (*unionfs.Mount, error) {
	dev, err := d.device(id)
	if err != nil || checkID(id) != nil {
		return nil, fmt.Errorf("mount layer %s: %w", id, errors.Join(err, checkID(id)))
	}
	target := d.mnt(id)
	return d.claims.Claim(target, filepath.Join(target, "rootfs"),
		func() error { return d.mount(id, dev, opts) },
		func() error { return d.unmount(id) })
}

func (d *Driver) mount(id string, dev Device, opts unionfs.MountOptions) error {
	node, err := d.pool.Activate(d.activeName(id), dev.DeviceID, dev.Size)
	if err != nil {
		return fmt.Errorf("mount layer %s: %w", id, err)
	}
	err = d.mountNode(id, node, opts)
	if err != nil {
		return errors.Join(fmt.Errorf("mount layer %s: %w", id, err), d.pool.Deactivate(d.activeName(id)))
	}
	return nil
}

// mountNode mounts the file system. A snapshot of an XFS has its origin's UUID,
// and XFS refuses to mount two of one without nouuid.
func (d *Driver) mountNode(id, node string, opts unionfs.MountOptions) error {
	target := d.mnt(id)
	if err := os.Mkdir(target, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	data := ""
	if d.opts.FileSystem == "xfs" {
		data = "nouuid"
	}
	if opts.Label != "" {
		data = fmt.Sprintf("%s,context=%q", data, opts.Label)
	}
	if err := unix.Mount(node, target, d.opts.FileSystem, 0, data); err != nil {
		return fmt.Errorf("mount %s at %s, options %q: %w", node, target, data, err)
	}
	err := os.Mkdir(filepath.Join(target, "rootfs"), 0o755)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return errors.Join(err, unionfs.Unmount(target))
}

func (d *Driver) unmount(id string) error {
	if err := unionfs.Unmount(d.mnt(id)); err != nil {
		return err
	}
	return errors.Join(d.pool.Deactivate(d.activeName(id)), os.Remove(d.mnt(id)))
}

// Metadata is what `docker inspect` shows for devicemapper.
func (d *Driver) Metadata(id string) (map[string]string, error) {
	dev, err := d.device(id)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"DeviceId": fmt.Sprint(dev.DeviceID), "DeviceSize": fmt.Sprint(dev.Size), "DeviceName": d.activeName(id),
	}, nil
}

// Status is the pool's, with the base device before it.
func (d *Driver) Status() []unionfs.Fact {
	facts := []unionfs.Fact{
		{Name: "Base Device Size", Value: fmt.Sprint(d.opts.BaseSize)},
		{Name: "Backing Filesystem", Value: d.opts.FileSystem},
	}
	for _, f := range d.pool.Status() {
		facts = append(facts, unionfs.Fact(f))
	}
	return facts
}
