package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
)

// The archive of `docker save`:
//
//	manifest.json                    [{Config, RepoTags, Layers}, ...]
//	<image id>.json                  the image's configuration, byte for byte
//	<v1 id>/{VERSION,json,layer.tar} one folder per layer
//	repositories                     {"name":{"tag":"<v1 id>"}}, for old readers
//
// Layers that several images share are in it once.

// archiveManifest is one element of manifest.json.
type archiveManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Wanted is one image to save with the names to save it under.
type Wanted struct {
	Image *Image
	Names []Reference // without digests; none for an image saved by id
}

// Save writes images in Docker's archive format.
func (s *Store) Save(w io.Writer, images []Wanted) error {
	sv := &saver{store: s, tw: tar.NewWriter(w), done: make(map[string]bool), old: make(map[string]map[string]string)}
	for _, want := range images {
		if err := sv.image(want); err != nil {
			return fmt.Errorf("save %s: %w", want.Image.ImageID, err)
		}
	}
	if err := sv.json("manifest.json", sv.manifest, time.Unix(0, 0)); err != nil {
		return err
	}
	if len(sv.old) > 0 {
		if err := sv.json("repositories", sv.old, time.Unix(0, 0)); err != nil {
			return err
		}
	}
	return sv.tw.Close()
}

type saver struct {
	store    *Store
	tw       *tar.Writer
	done     map[string]bool // names written
	manifest []archiveManifest
	old      map[string]map[string]string // content of the file repositories
}

func (sv *saver) image(want Wanted) error {
	img := want.Image
	layers, err := sv.store.Chain(img)
	if err != nil {
		return err
	}
	v1s, err := v1Chain(img)
	if err != nil {
		return err
	}
	m := archiveManifest{Config: img.ImageID.Encoded() + ".json", RepoTags: []string{}, Layers: []string{}}
	for i, l := range layers {
		m.Layers = append(m.Layers, v1s[i].ID+"/layer.tar")
		if err := sv.layer(v1s[i], l, img.Created); err != nil {
			return err
		}
	}
	if err := sv.file(m.Config, img.Raw, img.Created); err != nil {
		return err
	}
	for _, ref := range want.Names {
		m.RepoTags = append(m.RepoTags, ref.Name())
		if len(v1s) > 0 {
			if sv.old[ref.Repository()] == nil {
				sv.old[ref.Repository()] = make(map[string]string)
			}
			sv.old[ref.Repository()][ref.Tag] = v1s[len(v1s)-1].ID
		}
	}
	sv.manifest = append(sv.manifest, m)
	return nil
}

// layer writes one layer's folder, unless another image brought it already.
func (sv *saver) layer(v V1, l Layer, when time.Time) error {
	if sv.done[v.ID] {
		return nil
	}
	sv.done[v.ID] = true
	if err := sv.tw.WriteHeader(&tar.Header{Name: v.ID + "/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: when.Truncate(time.Second)}); err != nil {
		return err
	}
	if err := sv.file(v.ID+"/VERSION", []byte("1.0"), when); err != nil {
		return err
	}
	if err := sv.json(v.ID+"/json", v, when); err != nil {
		return err
	}
	return sv.store.withLayerFile(l, func(f *os.File, size int64) error {
		return sv.write(v.ID+"/layer.tar", size, f, when)
	})
}

// withLayerFile writes a layer's tar into a file first: a tar header wants the
// size before the content.
func (s *Store) withLayerFile(l Layer, do func(f *os.File, size int64) error) (err error) {
	f, err := os.CreateTemp(filepath.Join(s.root, "tmp"), "layer-")
	if err != nil {
		return err
	}
	// Without a name from here on: a killed process leaves nothing.
	err = os.Remove(f.Name())
	defer func() { err = errors.Join(err, f.Close()) }()
	if err != nil {
		return err
	}
	if err := s.WriteLayer(f, l); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return do(f, size)
}

func (sv *saver) json(name string, v any, when time.Time) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return sv.file(name, data, when)
}

func (sv *saver) file(name string, data []byte, when time.Time) error {
	if sv.done[name] {
		return nil
	}
	sv.done[name] = true
	return sv.write(name, int64(len(data)), bytes.NewReader(data), when)
}

func (sv *saver) write(name string, size int64, r io.Reader, when time.Time) error {
	h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size, ModTime: when.Truncate(time.Second)}
	if err := sv.tw.WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if _, err := io.CopyN(sv.tw, r, size); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Select turns names into what Save takes: a name stands for itself, an id for
// an image without a name.
func (s *Store) Select(names []string) ([]Wanted, error) {
	var list []Wanted
	at := make(map[digest.Digest]int)
	add := func(img *Image, refs ...Reference) {
		i, ok := at[img.ImageID]
		if !ok {
			i = len(list)
			at[img.ImageID] = i
			list = append(list, Wanted{Image: img})
		}
		list[i].Names = append(list[i].Names, refs...)
	}
	for _, name := range names {
		img, err := s.Resolve(name)
		if err != nil {
			return nil, err
		}
		ref, err := ParseReference(name)
		known, nerr := s.Names(img.ImageID)
		if nerr != nil {
			return nil, nerr
		}
		if err != nil || ref.Digest != "" || !slices.Contains(known, ref) {
			add(img)
			continue
		}
		add(img, ref)
	}
	return list, nil
}
