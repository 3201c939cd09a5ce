package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
)

// Get reads an image by its id and checks that the content still has it: the
// name of the file is the sha256 of its bytes.
func (s *Store) Get(id digest.Digest) (*Image, error) {
	if err := CheckDigest(id); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(s.path("imagedb/content/sha256", id.Encoded()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no such image: %s: %w", id, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	img, err := ParseImage(raw)
	if err != nil {
		return nil, err
	}
	if img.ImageID != id {
		return nil, fmt.Errorf("image %s was changed on disk: its content has the sha256 %s", id, img.ImageID.Encoded())
	}
	return img, nil
}

// Put stores a configuration whose layers are all here. Doing so twice is fine.
// Under the lock, for a Remove elsewhere must not take a layer in between.
func (s *Store) Put(img *Image) error {
	return s.locked(func() error {
		if _, err := s.Chain(img); err != nil {
			return err
		}
		return writeFile(s.path("imagedb/content/sha256", img.ImageID.Encoded()), img.Raw)
	})
}

// ids lists the ids of all images, sorted.
func (s *Store) ids() ([]digest.Digest, error) {
	entries, err := os.ReadDir(s.path("imagedb/content/sha256"))
	if err != nil {
		return nil, err
	}
	var ids []digest.Digest
	for _, e := range entries {
		id := digest.NewDigestFromEncoded(digest.SHA256, e.Name())
		if CheckDigest(id) == nil { // not a half-written file
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// All reads all images, the newest first.
func (s *Store) All() ([]*Image, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	images := make([]*Image, 0, len(ids))
	for _, id := range ids {
		img, err := s.Get(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since the listing
		}
		if err != nil {
			return nil, err
		}
		images = append(images, img)
	}
	slices.SortStableFunc(images, func(a, b *Image) int { return b.Created.Compare(a.Created) })
	return images, nil
}

// SetParent notes which local image this one was made from (imagedb/metadata).
// It is this machine's knowledge and not part of the image.
func (s *Store) SetParent(id, parent digest.Digest) error {
	return s.setMetadata(id, "parent", []byte(parent))
}

// Parent is the local image that this one was made from, "" for none.
func (s *Store) Parent(id digest.Digest) (digest.Digest, error) {
	b, err := readMaybe(s.path("imagedb/metadata/sha256", id.Encoded(), "parent"))
	return digest.Digest(b), err
}

// Touch notes the time of the last tagging (imagedb/metadata, lastUpdated).
func (s *Store) Touch(id digest.Digest, now time.Time) error {
	return s.setMetadata(id, "lastUpdated", []byte(now.UTC().Format(time.RFC3339Nano)))
}

func (s *Store) setMetadata(id digest.Digest, key string, value []byte) error {
	if err := CheckDigest(id); err != nil {
		return err
	}
	dir := s.path("imagedb/metadata/sha256", id.Encoded())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return writeFile(dir+"/"+key, value)
}

// Children lists the local images that were made from this one.
func (s *Store) Children(id digest.Digest) ([]digest.Digest, error) {
	all, err := s.ids()
	if err != nil {
		return nil, err
	}
	var children []digest.Digest
	for _, c := range all {
		p, err := s.Parent(c)
		if err != nil {
			return nil, err
		}
		if p == id {
			children = append(children, c)
		}
	}
	return children, nil
}

// drop removes the configuration and what is known about it.
func (s *Store) drop(id digest.Digest) error {
	if err := os.Remove(s.path("imagedb/content/sha256", id.Encoded())); err != nil {
		return err
	}
	return os.RemoveAll(s.path("imagedb/metadata/sha256", id.Encoded()))
}
