package treediff

import (
	"errors"
	"io"

	"cutaway/unionfs"
	"cutaway/unionfs/layertar"
)

// A Mounter shows layers as trees: the one thing of a driver that comparing
// needs.
type Mounter interface {
	Mount(id string, opts unionfs.MountOptions) (*unionfs.Mount, error)
}

// Trees is the half of a driver that is the same for all drivers whose layers are
// whole trees: there, what a layer changes is written nowhere, and a deletion is
// carried out. A driver embeds it.
type Trees struct{ m Mounter }

// Of makes Trees from the other half of the driver.
func Of(m Mounter) Trees { return Trees{m} }

// Apply mounts the layer, unpacks and carries deletions out.
func (t Trees) Apply(id string, tar io.Reader, limits layertar.Limits) (layertar.Result, error) {
	m, err := t.m.Mount(id, unionfs.MountOptions{})
	if err != nil {
		return layertar.Result{}, err
	}
	res, err := layertar.Apply(m.Path, tar, layertar.ApplyOptions{Form: layertar.Execute, Limits: limits})
	return res, errors.Join(err, m.Release())
}

// Changes mounts both layers and compares them. parent "" is the empty tree.
func (t Trees) Changes(id, parent string) ([]layertar.Change, error) {
	var changes []layertar.Change
	err := t.with(id, parent, func(before, now string) (err error) {
		changes, err = Compare(before, now)
		return err
	})
	return changes, err
}

// Diff mounts both layers and writes what differs as a layer tar.
func (t Trees) Diff(id, parent string, w io.Writer) error {
	return t.with(id, parent, func(before, now string) error {
		changes, err := Compare(before, now)
		if err != nil {
			return err
		}
		return layertar.WriteChanges(w, now, changes)
	})
}

// DiffSize mounts both layers and sums the files that differ.
func (t Trees) DiffSize(id, parent string) (int64, error) {
	var size int64
	err := t.with(id, parent, func(before, now string) error {
		changes, err := Compare(before, now)
		if err != nil {
			return err
		}
		size, err = Size(now, changes)
		return err
	})
	return size, err
}

func (t Trees) with(id, parent string, do func(before, now string) error) (err error) {
	now, err := t.m.Mount(id, unionfs.MountOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, now.Release()) }()
	if parent == "" {
		return do("", now.Path)
	}
	before, err := t.m.Mount(parent, unionfs.MountOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, before.Release()) }()
	return do(before.Path, now.Path)
}
