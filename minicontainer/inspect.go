package minicontainer

import (
	"errors"
	"slices"

	"github.com/opencontainers/go-digest"

	"cutaway/unionfs/image"
)

// Inspect finds a container by name, id or the beginning of an id, and reads
// its record. One whose shim has died is settled first, so what comes back is so.
func (e *Engine) Inspect(ref string) (*Container, error) {
	id, err := e.resolve(ref)
	if err != nil {
		return nil, err
	}
	c, err := e.settled(id)
	var gone *NotFound
	if errors.As(err, &gone) {
		return nil, &NotFound{ref}
	}
	return c, err
}

// ListOptions choose containers. Filters are those of `ps --filter`.
type ListOptions struct {
	All     bool // those that do not run too
	Last    int  // the last n created, whatever they do; 0 is all
	Filters map[string][]string
}

// List reads the records of all containers, the newest first. One with a damaged
// record is listed as dead. Config.Image is what the image is called now.
func (e *Engine) List(o ListOptions) ([]*Container, error) {
	ids, err := e.ids()
	if err != nil {
		return nil, err
	}
	keep, err := e.parseFilters(o.Filters)
	if err != nil {
		return nil, err
	}
	all := []*Container{}
	for _, id := range ids {
		c, err := e.settled(id)
		var gone *NotFound
		if errors.As(err, &gone) { // half made, or removed since
			continue
		}
		if isDamaged(err) {
			c, err = e.remains(id, err), nil
		}
		if err != nil {
			return nil, err
		}
		if !keep(c) || !(c.State.Running || o.All || o.Last > 0 || len(o.Filters["status"])+len(o.Filters["exited"]) > 0) {
			continue
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *Container) int { return b.Created.Compare(a.Created) })
	if o.Last > 0 && len(all) > o.Last {
		all = all[:o.Last]
	}
	for _, c := range all {
		c.Config.Image = e.imageNow(c)
	}
	return all, nil
}

// imageNow is the image's name that the container was made from, or its id where
// the name means another image by now, or none.
func (e *Engine) imageNow(c *Container) string {
	img, err := e.Images.Resolve(c.Config.Image)
	if err != nil || img.ImageID != c.Image {
		return c.Image.String()
	}
	return c.Config.Image
}

// ImageUses lists the containers that were made from an image, as removing an
// image has to know (image.Store.Remove).
func (e *Engine) ImageUses(id digest.Digest) ([]image.Use, error) {
	all, err := e.List(ListOptions{All: true})
	var uses []image.Use
	for _, c := range all {
		if c.Image == id {
			uses = append(uses, image.Use{Container: c.ID, Running: c.State.Running})
		}
	}
	return uses, err
}
