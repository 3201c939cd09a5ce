package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"

	"cutaway/unionfs"
	"cutaway/unionfs/layertar"
)

// A container's root is two layers on top of the image:
//
//	<mount-id>         what the container writes
//	<mount-id>-init    empty files that the runtime mounts things over (init.go)
//	image layers ...
//
// A difference is taken against the init layer, so what is in it never turns up
// in `diff` or `commit`.

// A Root is a container's layers, as layerdb/mounts/<container> has them.
type Root struct {
	Container string
	MountID   string        // file mount-id: the writable layer
	InitID    string        // file init-id: the layer below it
	Parent    digest.Digest // file parent: the image's chain id
}

// CreateRoot makes a container's two layers on top of an image. opts.Size
// limits the writable one.
func (s *Store) CreateRoot(container string, img *Image, opts unionfs.CreateOptions) (r Root, err error) {
	if err := unionfs.CheckID(container); err != nil {
		return r, err
	}
	top := Layer{}
	if chain := img.ChainID(); chain != "" {
		if top, err = s.Layer(chain); err != nil {
			return r, err
		}
	}
	r = Root{Container: container, MountID: unionfs.NewID(), Parent: top.ChainID}
	r.InitID = r.MountID + "-init"
	dir := s.path("layerdb/mounts", container)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return r, fmt.Errorf("root of container %s: %w", container, err)
	}
	// The names first, the layers after them: RemoveRoot can then take back
	// whatever part of this was done.
	if err := s.makeRoot(dir, r, top.CacheID, opts); err != nil {
		return r, errors.Join(fmt.Errorf("root of container %s: %w", container, err), s.RemoveRoot(container))
	}
	return r, nil
}

func (s *Store) makeRoot(dir string, r Root, cacheID string, opts unionfs.CreateOptions) error {
	for name, content := range map[string]string{
		"mount-id": r.MountID, "init-id": r.InitID, "parent": r.Parent.String(),
	} {
		// Not synced to disk, as a container's record is not: three waits for the
		// disk would be most of what making a container costs.
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o600); err != nil {
			return err
		}
	}
	if err := s.Driver.Create(r.InitID, cacheID, unionfs.CreateOptions{}); err != nil {
		return err
	}
	m, err := s.Driver.Mount(r.InitID, unionfs.MountOptions{})
	if err != nil {
		return err
	}
	if err := errors.Join(FillInitLayer(m.Path), m.Release()); err != nil {
		return err
	}
	return s.Driver.Create(r.MountID, r.InitID, opts)
}

// ContainerRoot reads a container's layers back. fs.ErrNotExist for an unknown one.
func (s *Store) ContainerRoot(container string) (Root, error) {
	r := Root{Container: container}
	if err := unionfs.CheckID(container); err != nil {
		return r, err
	}
	dir := s.path("layerdb/mounts", container)
	if _, err := os.Lstat(dir); err != nil {
		return r, fmt.Errorf("container %s has no layers here: %w", container, fs.ErrNotExist)
	}
	var errs []error
	read := func(name string) string {
		b, err := readMaybe(dir + "/" + name)
		errs = append(errs, err)
		return strings.TrimSpace(string(b))
	}
	r.MountID, r.InitID, r.Parent = read("mount-id"), read("init-id"), digest.Digest(read("parent"))
	return r, errors.Join(errs...)
}

// RemoveRoot removes a container's layers. An unknown container is no error.
func (s *Store) RemoveRoot(container string) error {
	r, err := s.ContainerRoot(container)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, id := range []string{r.MountID, r.InitID} { // the upper one first
		if id == "" {
			continue
		}
		if err := s.Driver.Remove(id); err != nil {
			return err
		}
	}
	return os.RemoveAll(s.path("layerdb/mounts", container))
}

// Roots lists the containers that have layers here.
func (s *Store) Roots() ([]Root, error) {
	entries, err := os.ReadDir(s.path("layerdb/mounts"))
	if err != nil {
		return nil, err
	}
	var roots []Root
	for _, e := range entries {
		r, err := s.ContainerRoot(e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		roots = append(roots, r)
	}
	return roots, nil
}

// MountRoot mounts a container's root file system.
func (s *Store) MountRoot(container string) (*unionfs.Mount, error) {
	r, err := s.ContainerRoot(container)
	if err != nil {
		return nil, err
	}
	return s.Driver.Mount(r.MountID, unionfs.MountOptions{})
}

// Changes lists what the container wrote, as `docker diff` does.
func (s *Store) Changes(container string) ([]layertar.Change, error) {
	r, err := s.ContainerRoot(container)
	if err != nil {
		return nil, err
	}
	return s.Driver.Changes(r.MountID, r.InitID)
}

// RootSize is how many bytes the container wrote.
func (s *Store) RootSize(container string) (int64, error) {
	r, err := s.ContainerRoot(container)
	if err != nil {
		return 0, err
	}
	return s.Driver.DiffSize(r.MountID, r.InitID)
}

// WriteRoot writes the container's whole root as a tar, as `docker export`
// does: one tree, no layers, no configuration.
func (s *Store) WriteRoot(container string, w io.Writer) error {
	r, err := s.ContainerRoot(container)
	if err != nil {
		return err
	}
	return WriteWhole(s.Driver, r.MountID, w)
}
