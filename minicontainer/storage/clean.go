package storage

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"cutaway/unionfs/driver"
)

// Cleaned is what Clean did with the store of one driver.
type Cleaned struct {
	Driver  string
	Removed []string // what was left half made
	Err     error    // why the store could not be looked through; image.ErrBusy while it is in use
}

// Clean takes away what dead processes left half made in a root: layers on
// their way in, layers that no image and no container stands on, names without
// an image, temporary files. Images and containers stay. A root that does not
// exist is not made.
func Clean(root string, o driver.Options) []Cleaned {
	var list []Cleaned
	for _, name := range driver.Names() {
		if _, err := os.Stat(filepath.Join(root, "image", name)); err != nil {
			continue
		}
		c := Cleaned{Driver: name}
		c.Removed, c.Err = cleanOne(Options{Root: root, Driver: name, Drivers: o})
		list = append(list, c)
	}
	return list
}

func cleanOne(o Options) ([]string, error) {
	before := unfinished(o)
	s, err := Open(o) // takes unfinished layers back
	if err != nil {
		return nil, err
	}
	list, err := s.Prune()
	var removed []string
	after := unfinished(o)
	for _, path := range before {
		if !slices.Contains(after, path) {
			removed = append(removed, path)
		}
	}
	for _, r := range list {
		removed = append(removed, r.String())
	}
	return removed, errors.Join(err, s.Driver.Close())
}

// unfinished are the folders of layers on their way in or out, and temporary
// files.
func unfinished(o Options) []string {
	var found []string
	for _, pattern := range []string{"image/" + o.Driver + "/layerdb/tmp/*", o.Driver + "/*-creating", o.Driver + "/*-removing", "tmp/*"} {
		paths, _ := filepath.Glob(filepath.Join(o.Root, pattern)) // the patterns are well formed
		found = append(found, paths...)
	}
	return found
}
