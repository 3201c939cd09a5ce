package image

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Prune removes layers that no image, layer or container stands on, temporary
// files, and names without an image: what remains when a process is killed
// between the steps of loading or removing an image. It returns what it removed.
//
// It is not part of Open: a layer that no image has yet may be one that another
// process is bringing in right now. While one does, Prune fails with ErrBusy.
func (s *Store) Prune() (list []Removal, err error) {
	err = s.alone(func() error {
		list, err = s.prune()
		return err
	})
	return list, err
}

func (s *Store) prune() ([]Removal, error) {
	layers, err := s.Layers()
	if err != nil {
		return nil, err
	}
	var list []Removal
	for again := true; again; { // a layer is free once the one above it is gone
		again = false
		for i, l := range layers {
			gone, err := s.releaseLayer(l)
			if err != nil {
				return list, err
			}
			if gone {
				list = append(list, Removal{Deleted: l.ChainID.String()})
				layers = slices.Delete(layers, i, i+1)
				again = true
				break
			}
		}
	}
	names, err := s.pruneNames()
	if err != nil {
		return list, err
	}
	return append(list, names...), s.pruneFiles()
}

// pruneNames takes away names of images that are gone.
func (s *Store) pruneNames() ([]Removal, error) {
	all, err := s.AllNames()
	if err != nil {
		return nil, err
	}
	var list []Removal
	for name, id := range all {
		if _, err := os.Lstat(s.path("imagedb/content/sha256", id.Encoded())); err == nil {
			continue
		}
		ref, err := ParseReference(name)
		if err != nil {
			return list, err
		}
		removed, err := s.untag(ref)
		if err != nil {
			return list, err
		}
		list = append(list, removed...)
	}
	return list, nil
}

// pruneFiles removes temporary files, and metadata of images that are gone.
func (s *Store) pruneFiles() error {
	temp, err := filepath.Glob(filepath.Join(s.root, "tmp", "*"))
	if err != nil {
		return err
	}
	for _, dir := range []string{"", "imagedb/content/sha256", "imagedb/metadata/sha256/*"} {
		more, err := filepath.Glob(filepath.Join(s.path(dir), ".tmp-*"))
		if err != nil {
			return err
		}
		temp = append(temp, more...)
	}
	metadata, err := os.ReadDir(s.path("imagedb/metadata/sha256"))
	if err != nil {
		return err
	}
	for _, m := range metadata {
		if _, err := os.Lstat(s.path("imagedb/content/sha256", m.Name())); err != nil && !strings.HasPrefix(m.Name(), ".") {
			temp = append(temp, s.path("imagedb/metadata/sha256", m.Name()))
		}
	}
	for _, name := range temp {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}
