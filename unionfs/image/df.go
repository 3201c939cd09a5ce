package image

import (
	"github.com/opencontainers/go-digest"
)

// Usage is the images' and containers' part of `docker system df`.
type Usage struct {
	Images      int
	ActiveImage int   // used by a container
	Layers      int64 // bytes of all layers, each once: what is on the disk
	Sum         int64 // bytes of all images added up as if nothing were shared
	Reclaimable int64 // bytes of layers that no used image has
	Containers  int
	Roots       int64 // bytes that containers wrote
	PerImage    []ImageUsage
}

// ImageUsage is one line of `docker system df -v`.
type ImageUsage struct {
	Image      *Image
	Size       int64 // all its layers
	Shared     int64 // those that other images have too
	Unique     int64 // the rest: what removing it would free
	Containers int
}

// DiskUsage adds up what the store holds.
func (s *Store) DiskUsage() (Usage, error) {
	var u Usage
	images, err := s.All()
	if err != nil {
		return u, err
	}
	roots, err := s.Roots()
	if err != nil {
		return u, err
	}
	layers, err := s.Layers()
	if err != nil {
		return u, err
	}
	u.Images, u.Containers = len(images), len(roots)
	users, sharers := make(map[digest.Digest]int), make(map[digest.Digest]int)
	for _, r := range roots {
		users[r.Parent]++
		size, err := s.RootSize(r.Container)
		if err != nil {
			return u, err
		}
		u.Roots += size
	}
	active := make(map[digest.Digest]bool)
	for _, img := range images {
		for _, chain := range ChainIDs(img.RootFS.DiffIDs) {
			sharers[chain]++
			active[chain] = active[chain] || users[img.ChainID()] > 0
		}
	}
	for _, l := range layers {
		u.Layers += l.Size
		if !active[l.ChainID] {
			u.Reclaimable += l.Size
		}
	}
	return s.perImage(u, images, users, sharers)
}

func (s *Store) perImage(u Usage, images []*Image, users, sharers map[digest.Digest]int) (Usage, error) {
	for _, img := range images {
		iu := ImageUsage{Image: img, Containers: users[img.ChainID()]}
		layers, err := s.Chain(img)
		if err != nil {
			return u, err
		}
		for _, l := range layers {
			iu.Size += l.Size
			if sharers[l.ChainID] > 1 {
				iu.Shared += l.Size
			} else {
				iu.Unique += l.Size
			}
		}
		if iu.Containers > 0 {
			u.ActiveImage++
		}
		u.Sum += iu.Size
		u.PerImage = append(u.PerImage, iu)
	}
	return u, nil
}
