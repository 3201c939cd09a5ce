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

// Changes mounts both layers and compares them. parent "" is the empty tree.
func Changes(m Mounter, id, parent string) ([]layertar.Change, error) {
	var changes []layertar.Change
	err := withTrees(m, id, parent, func(before, now string) (err error) {
		changes, err = Compare(before, now)
		return err
	})
	return changes, err
}

// WriteTar mounts both layers and writes what differs as a layer tar.
func WriteTar(m Mounter, id, parent string, w io.Writer) error {
	return withTrees(m, id, parent, func(before, now string) error {
		changes, err := Compare(before, now)
		if err != nil {
			return err
		}
		return layertar.WriteChanges(w, now, changes)
	})
}

// LayerSize mounts both layers and sums the files that differ.
func LayerSize(m Mounter, id, parent string) (int64, error) {
	var size int64
	err := withTrees(m, id, parent, func(before, now string) error {
		changes, err := Compare(before, now)
		if err != nil {
			return err
		}
		size, err = Size(now, changes)
		return err
	})
	return size, err
}

func withTrees(m Mounter, id, parent string, do func(before, now string) error) (err error) {
	now, err := m.Mount(id, unionfs.MountOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, now.Release()) }()
	if parent == "" {
		return do("", now.Path)
	}
	before, err := m.Mount(parent, unionfs.MountOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, before.Release()) }()
	return do(before.Path, now.Path)
}
