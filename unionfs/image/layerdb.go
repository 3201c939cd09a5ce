package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// A Layer is what layerdb knows about one chain id, a file for each field.
type Layer struct {
	ChainID digest.Digest
	DiffID  digest.Digest // file diff
	Parent  digest.Digest // file parent: the chain id below, absent for the bottom
	CacheID string        // file cache-id: the driver's name for it
	Size    int64         // file size: the sum of the layer's own files
}

// Layer reads one layer. fs.ErrNotExist if it is not here.
func (s *Store) Layer(chain digest.Digest) (Layer, error) {
	l := Layer{ChainID: chain}
	if err := CheckDigest(chain); err != nil {
		return l, err
	}
	dir := s.layerDir(chain)
	if _, err := os.Lstat(dir); err != nil {
		return l, fmt.Errorf("no such layer: %s: %w", chain, fs.ErrNotExist)
	}
	read := func(name string) string {
		b, err := os.ReadFile(dir + "/" + name)
		if err != nil && !(name == "parent" && errors.Is(err, fs.ErrNotExist)) {
			l.ChainID = ""
		}
		return strings.TrimSpace(string(b))
	}
	l.DiffID, l.Parent = digest.Digest(read("diff")), digest.Digest(read("parent"))
	l.CacheID = read("cache-id")
	size, err := strconv.ParseInt(read("size"), 10, 64)
	if err != nil || l.ChainID == "" {
		return l, fmt.Errorf("layer %s is damaged: files missing in %s", chain, dir)
	}
	l.Size = size
	if NextChainID(l.Parent, l.DiffID) != chain {
		return l, fmt.Errorf("layer %s is damaged: diff %s on %s has another chain id", chain, l.DiffID, l.Parent)
	}
	return l, nil
}

func (s *Store) layerDir(chain digest.Digest) string {
	return s.path("layerdb/sha256", chain.Encoded())
}

// Chain reads the layers of an image, bottom first.
func (s *Store) Chain(img *Image) ([]Layer, error) {
	layers := make([]Layer, 0, len(img.RootFS.DiffIDs))
	for _, chain := range ChainIDs(img.RootFS.DiffIDs) {
		l, err := s.Layer(chain)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", img.ImageID, err)
		}
		layers = append(layers, l)
	}
	return layers, nil
}

// Layers reads all layers, sorted by chain id.
func (s *Store) Layers() ([]Layer, error) {
	entries, err := os.ReadDir(s.path("layerdb/sha256"))
	if err != nil {
		return nil, err
	}
	var layers []Layer
	for _, e := range entries {
		chain := digest.NewDigestFromEncoded(digest.SHA256, e.Name())
		if CheckDigest(chain) != nil {
			continue
		}
		l, err := s.Layer(chain)
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return layers, nil
}

// Size is the sum of the image's layers, as `docker images` shows it. Layers
// that other images have too count in full.
func (s *Store) Size(img *Image) (int64, error) {
	layers, err := s.Chain(img)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, l := range layers {
		sum += l.Size
	}
	return sum, nil
}
