package image

import (
	"errors"
	"io"

	"cutaway/unionfs"
	"cutaway/unionfs/layertar"
	"cutaway/unionfs/treediff"
)

// WriteWhole writes all that a layer with everything below it shows as one tar,
// without whiteouts.
func WriteWhole(d unionfs.Driver, id string, w io.Writer) (err error) {
	m, err := d.Mount(id, unionfs.MountOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Release()) }()
	all, err := treediff.Compare("", m.Path) // compared with nothing, all is added
	if err != nil {
		return err
	}
	return layertar.WriteChanges(w, m.Path, all)
}
