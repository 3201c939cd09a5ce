package minicontainer

import (
	"errors"
	"path/filepath"

	"cutaway/volumedemo"
)

// MountPoint is one thing mounted into a container: what -v, --mount, --tmpfs,
// --volumes-from and the image's VOLUME lines came to.
type MountPoint = volumedemo.Point

// Volumes is the store of the volumes.
func (e *Engine) Volumes() *volumedemo.Store {
	return &volumedemo.Store{Dir: filepath.Join(e.root, "volumes")}
}

// withVolumes finds or makes the sources of the container's mounts, then saves
// the record. The store is held over both: a prune in between would take a
// volume that nobody seems to use yet.
func (e *Engine) withVolumes(c *Container, save func() error) (err error) {
	request, err := e.volumeRequest(c)
	if err != nil {
		return err
	}
	if len(request.From)+len(request.Specs)+len(request.Volume) == 0 {
		return save()
	}
	store := e.Volumes()
	release, err := store.Hold()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if c.MountPoints, err = store.Resolve(request); err != nil {
		return err
	}
	if err := e.fillVolumes(c); err != nil {
		return err
	}
	return save()
}

// fillVolumes gives volumes that are used for the first time what the image has
// in their place.
func (e *Engine) fillVolumes(c *Container) (err error) {
	var wanting []MountPoint
	for _, p := range c.MountPoints {
		if p.Type == volumedemo.Volume && !p.Volume.NoCopy {
			wanting = append(wanting, p)
		}
	}
	if len(wanting) == 0 {
		return nil
	}
	root, err := e.Images.MountRoot(c.ID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Release()) }()
	for _, p := range wanting {
		if _, err := e.Volumes().Fill(p, root.Path); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) volumeRequest(c *Container) (volumedemo.Request, error) {
	r := volumedemo.Request{Specs: c.HostConfig.Mounts}
	for path := range c.Config.Volumes {
		r.Volume = append(r.Volume, path)
	}
	for _, text := range c.HostConfig.Binds {
		s, err := volumedemo.ParseVolume(text, "/")
		if err != nil {
			return r, err
		}
		r.Specs = append(r.Specs, s)
	}
	for path, options := range c.HostConfig.Tmpfs {
		s, err := volumedemo.ParseTmpfs(path + ":" + options)
		if err != nil {
			return r, err
		}
		r.Specs = append(r.Specs, s)
	}
	for _, text := range c.HostConfig.VolumesFrom {
		from, err := volumedemo.ParseFrom(text)
		if err != nil {
			return r, err
		}
		other, err := e.Inspect(from.Container)
		if err != nil {
			return r, err
		}
		r.From = append(r.From, volumedemo.Inherited{Points: other.MountPoints, ReadOnly: from.ReadOnly})
	}
	return r, nil
}

// VolumeUsers lists the containers that use a volume, as removing one has to know.
func (e *Engine) VolumeUsers(name string) ([]string, error) {
	all, err := e.List(ListOptions{All: true, Filters: map[string][]string{"volume": {name}}})
	var users []string
	for _, c := range all {
		for _, p := range c.MountPoints {
			if p.Name == name {
				users = append(users, c.ID)
				break
			}
		}
	}
	return users, err
}

// dropVolumes removes the container's anonymous volumes that nobody else uses.
func (e *Engine) dropVolumes(c *Container, wanted bool) error {
	if !wanted {
		return nil
	}
	store := e.Volumes()
	for _, p := range c.MountPoints {
		if p.Type != volumedemo.Volume {
			continue
		}
		info, err := store.Inspect(p.Name)
		if err != nil || !info.Anonymous() {
			continue // gone already, or somebody gave it a name
		}
		err = store.Remove(p.Name, func(name string) ([]string, error) { return e.otherUsers(name, c.ID) })
		if used := (*volumedemo.InUse)(nil); err != nil && !errors.As(err, &used) {
			return err
		}
	}
	return nil
}

func (e *Engine) otherUsers(volume, self string) ([]string, error) {
	users, err := e.VolumeUsers(volume)
	var others []string
	for _, id := range users {
		if id != self {
			others = append(others, id)
		}
	}
	return others, err
}
