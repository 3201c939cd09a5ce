package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"

	"cutaway/unionfs/layertar"
)

// A Loaded is one image that Load brought in.
type Loaded struct {
	Image *Image
	Names []Reference
}

// Load takes in an archive, plain or gzip: Docker's format, or an OCI layout as
// a tar. Either all of its images are here afterwards, or those that are named
// in the result when an error comes with it.
func (s *Store) Load(r io.Reader) (loaded []Loaded, err error) {
	plain, err := Decompress(r, layertar.Limits{})
	if err != nil {
		return nil, err
	}
	busy, err := s.bringIn()
	if err != nil {
		return nil, err
	}
	defer busy.Close()
	dir, err := os.MkdirTemp(filepath.Join(s.root, "tmp"), "load-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// The archive is a stranger's tar like any layer.
	if _, err := layertar.Apply(dir, plain, layertar.ApplyOptions{Form: layertar.AUFS}); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return s.LoadDir(dir)
}

// LoadDir takes in an unpacked archive, or an OCI layout on disk. Where a folder
// is both (newer Docker writes both into one archive), Docker's manifest.json
// is read, for it has the names.
func (s *Store) LoadDir(dir string) ([]Loaded, error) {
	tree, err := layertar.OpenTree(dir)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	raw, err := readAll(tree, "manifest.json")
	if err == nil {
		return s.loadDocker(tree, raw)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	raw, err = readAll(tree, "index.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("load: neither manifest.json (Docker's archive) nor index.json (OCI layout) is in it; a tar of a plain tree is for import")
	}
	if err != nil {
		return nil, err
	}
	return s.loadLayout(tree, raw)
}

// maxManifest bounds the JSON files of an archive.
const maxManifest = 32 << 20

func readAll(tree *layertar.Tree, name string) ([]byte, error) {
	f, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if len(data) > maxManifest {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxManifest)
	}
	return data, err
}

// ParseManifest reads manifest.json of Docker's archive format.
func ParseManifest(raw []byte) ([]archiveManifest, error) {
	var list []archiveManifest
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	if len(list) == 0 {
		return nil, errors.New("manifest.json: no image in it")
	}
	for _, m := range list {
		for _, name := range append([]string{m.Config}, m.Layers...) {
			if clean, err := layertar.CleanName(name); err != nil || clean == "." {
				return nil, fmt.Errorf("manifest.json: file name %q: not a path inside of the archive", name)
			}
		}
		for _, tag := range m.RepoTags {
			ref, err := ParseReference(tag)
			if err != nil {
				return nil, fmt.Errorf("manifest.json: %w", err)
			}
			if ref.Digest != "" {
				return nil, fmt.Errorf("manifest.json: RepoTags has a digest: %q", tag)
			}
		}
	}
	return list, nil
}

func (s *Store) loadDocker(tree *layertar.Tree, raw []byte) ([]Loaded, error) {
	manifests, err := ParseManifest(raw)
	if err != nil {
		return nil, err
	}
	var loaded []Loaded
	for _, m := range manifests {
		l, err := s.loadDockerImage(tree, m)
		if err != nil {
			return loaded, fmt.Errorf("load %s: %w", strings.Join(append(m.RepoTags, m.Config), " "), err)
		}
		loaded = append(loaded, l)
	}
	return loaded, nil
}

func (s *Store) loadDockerImage(tree *layertar.Tree, m archiveManifest) (Loaded, error) {
	raw, err := readAll(tree, m.Config)
	if err != nil {
		return Loaded{}, err
	}
	sources := make([]Source, len(m.Layers))
	for i, name := range m.Layers {
		sources[i] = func() (io.ReadCloser, error) { return tree.Open(name) }
	}
	img, err := s.Assemble(raw, sources)
	if err != nil {
		return Loaded{}, err
	}
	l := Loaded{Image: img}
	for _, tag := range m.RepoTags {
		ref, _ := ParseReference(tag) // checked by ParseManifest
		if err := s.Tag(ref, img.ImageID); err != nil {
			return l, err
		}
		l.Names = append(l.Names, ref)
	}
	return l, nil
}

// A Source opens one layer's tar, plain or gzip.
type Source func() (io.ReadCloser, error)

// Assemble stores an image from its configuration and the sources of its
// layers, bottom first. A layer that is here already is not opened. After an
// error, layers that were new and that no other image has are taken away again.
func (s *Store) Assemble(raw []byte, sources []Source) (*Image, error) {
	img, err := ParseImage(raw)
	if err != nil {
		return nil, err
	}
	if len(sources) != len(img.RootFS.DiffIDs) {
		return nil, fmt.Errorf("image %s has %d layers, %d were brought", img.ImageID, len(img.RootFS.DiffIDs), len(sources))
	}
	if err := s.checkPlatform(img); err != nil {
		return nil, err
	}
	busy, err := s.bringIn()
	if err != nil {
		return nil, err
	}
	defer busy.Close()
	var parent digest.Digest
	var fresh []Layer
	for i, diff := range img.RootFS.DiffIDs {
		l, isNew, err := s.ensure(parent, diff, sources[i])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("layer %d of %d: %w", i+1, len(sources), err), s.dropLayers(fresh))
		}
		if isNew {
			fresh = append(fresh, l)
		}
		parent = l.ChainID
	}
	return img, s.Put(img)
}

// checkPlatform refuses images for another operating system; another
// architecture may run through binfmt_misc.
func (s *Store) checkPlatform(img *Image) error {
	if img.OS != "" && img.OS != "linux" {
		return fmt.Errorf("image %s is for %s; containers here run linux", img.ImageID, img.OS)
	}
	return nil
}

// ensure registers a layer unless it is here.
func (s *Store) ensure(parent, diff digest.Digest, open Source) (l Layer, isNew bool, err error) {
	if l, err := s.Layer(NextChainID(parent, diff)); err == nil {
		return l, false, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return l, false, err
	}
	r, err := open()
	if err != nil {
		return l, false, err
	}
	l, err = s.Register(r, RegisterOptions{Parent: parent, Want: diff})
	return l, true, errors.Join(err, r.Close())
}

// dropLayers removes layers that no image came to need, the topmost first.
func (s *Store) dropLayers(layers []Layer) error {
	var errs []error
	for i := len(layers) - 1; i >= 0; i-- {
		_, err := s.releaseLayer(layers[i])
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
