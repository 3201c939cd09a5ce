package minicontainer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer/builtin"
	"cutaway/unionfs"
	"cutaway/unionfs/image"
)

// Create makes a container: its record, its name, its two layers, its volumes.
// Nothing of it runs. The image must be here.
func (e *Engine) Create(o Options) (*Container, error) {
	var id string
	if o.StartsNext {
		id = e.early.begin(e)
	} else {
		id = unionfs.NewID()
	}
	c, err := e.create(id, o)
	if err != nil {
		e.early.drop(id)
	}
	return c, err
}

func (e *Engine) create(id string, o Options) (*Container, error) {
	img, err := builtin.Resolve(e.Images, o.Config.Image)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NoImage{Ref: o.Config.Image, Err: err}
	}
	if err != nil {
		return nil, err
	}
	c, err := e.plan(id, o, img)
	if err != nil {
		return nil, err
	}
	if err := e.make(c, o, img); err != nil {
		return nil, err
	}
	return c, nil
}

// make makes what was planned; after an error nothing of it is left.
func (e *Engine) make(c *Container, o Options, img *image.Image) error {
	// The folder first: a name is only ever claimed for a container whose folder
	// exists, and its lock says that its maker is alive.
	if err := os.MkdirAll(filepath.Join(e.root, "names"), 0o710); err != nil {
		return err
	}
	if err := os.MkdirAll(e.containerDir(c.ID), 0o710); err != nil {
		return err
	}
	lock, err := e.lock(c.ID)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := e.build(c, o, img); err != nil {
		return errors.Join(err, e.discard(c))
	}
	return nil
}

// NoImage says that the image is not here.
type NoImage struct {
	Ref string
	Err error
}

func (e *NoImage) Error() string {
	return "No such image: " + e.Ref + ": bring it in first (cutaway image pull, load or import)"
}

func (e *NoImage) Unwrap() error { return e.Err }

// plan writes the record without making anything.
func (e *Engine) plan(id string, o Options, img *image.Image) (*Container, error) {
	c := &Container{ID: id, Created: time.Now().UTC(), Config: o.Config, HostConfig: o.Host,
		Image: img.ImageID, Driver: e.driver.Name()}
	mergeConfig(&c.Config, img.Config)
	var err error
	if c.Path, c.Args, err = command(&c.Config); err != nil {
		return nil, err
	}
	if err := checkHostConfig(&c.HostConfig); err != nil {
		return nil, err
	}
	if err := e.resolveModes(c); err != nil {
		return nil, err
	}
	if err := e.resolveLinks(&c.HostConfig); err != nil {
		return nil, err
	}
	if c.Config.Hostname == "" && c.HostConfig.UTSMode != "host" {
		c.Config.Hostname = ShortID(c.ID)
	}
	c.planNetworks(o.Networks)
	c.HostnamePath, c.HostsPath, c.ResolvConfPath = e.File(c.ID, "hostname"), e.File(c.ID, "hosts"), e.File(c.ID, "resolv.conf")
	if c.HostConfig.LogConfig.Type == "" {
		c.HostConfig.LogConfig.Type = "json-file"
	}
	if c.HostConfig.LogConfig.Type == "json-file" {
		c.LogPath = e.File(c.ID, c.ID+"-json.log")
	}
	return c, nil
}

// build makes the parts. The record goes last: without it the container does
// not exist yet, and whoever finds the folder without its lock held clears it.
func (e *Engine) build(c *Container, o Options, img *image.Image) error {
	name, err := o.Name, error(nil)
	if name == "" {
		name, err = e.claimRandomName(c.ID)
	} else {
		err = e.claimName(name, c.ID)
	}
	if err != nil {
		return err
	}
	c.Name = "/" + name
	size, err := storageSize(c.HostConfig.StorageOpt)
	if err != nil {
		return err
	}
	if _, err := e.Images.CreateRoot(c.ID, img, unionfs.CreateOptions{Size: size}); err != nil {
		return err
	}
	for _, file := range []string{c.HostnamePath, c.HostsPath, c.ResolvConfPath} {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			return err
		}
	}
	return e.withVolumes(c, func() error { return e.save(c) })
}

// discard takes back what build made.
func (e *Engine) discard(c *Container) error {
	err := e.Images.RemoveRoot(c.ID)
	if err == nil && c.Name != "" {
		err = e.dropName(c.PlainName(), c.ID)
	}
	if err == nil {
		err = os.RemoveAll(e.containerDir(c.ID))
	}
	return err
}

// Sweep clears what makers left that died between the first step and the last:
// folders without a record whose lock nobody holds.
func (e *Engine) Sweep() error {
	ids, err := e.ids()
	for _, id := range ids {
		err = errors.Join(err, e.sweepOne(id))
	}
	return errors.Join(err, e.sweepNames())
}

// sweepNames gives up the names of containers that are gone.
func (e *Engine) sweepNames() error {
	entries, err := os.ReadDir(filepath.Join(e.root, "names"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		id, linkErr := os.Readlink(e.namePath(entry.Name()))
		if linkErr != nil {
			continue
		}
		if _, statErr := os.Lstat(e.containerDir(id)); errors.Is(statErr, fs.ErrNotExist) {
			err = errors.Join(err, e.dropName(entry.Name(), id))
		}
	}
	return err
}

func (e *Engine) sweepOne(id string) error {
	if _, err := os.Lstat(e.File(id, "config.v2.json")); err == nil {
		return nil
	}
	dir, err := os.Open(e.containerDir(id))
	if err != nil {
		return nil // gone since
	}
	if flock(dir, unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil // its maker is at it
	}
	defer dir.Close()
	if _, err := os.Lstat(e.File(id, "config.v2.json")); err == nil {
		return nil // finished since
	}
	if err := e.unmountLayers(id); err != nil {
		return err
	}
	return e.discard(&Container{ID: id}) // a name that it had claimed is free again without it
}

// unmountLayers unmounts the layers of a container that a dead process has left
// mounted: it may have been filling the lower one.
func (e *Engine) unmountLayers(id string) error {
	root, err := e.Images.ContainerRoot(id)
	if err != nil {
		return nil // it did not get so far
	}
	for _, layer := range []string{root.MountID, root.InitID} {
		if layer == "" || !e.driver.Exists(layer) {
			continue
		}
		// Mounting what is mounted tells where; it does not claim it.
		m, err := e.driver.Mount(layer, unionfs.MountOptions{})
		if err != nil {
			return err
		}
		if err := errors.Join(m.Release(), unmountAbove(m.Path)); err != nil {
			return err
		}
	}
	return nil
}
