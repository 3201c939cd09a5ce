package image

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"cutaway/unionfs/layertar"
)

// The OCI image layout:
//
//	oci-layout             {"imageLayoutVersion":"1.0.0"}
//	index.json             the entry: manifests with their names as annotations
//	blobs/sha256/<hex>     manifests, configurations and layers, by content
//
// Unlike Docker's archive it says the size and digest of everything before one
// opens it.

// containerdName is the annotation for a full name; OCI's own one has room for
// a tag only (image-spec annotations.md).
const containerdName = "io.containerd.image.name"

// SaveLayout writes images as an OCI layout in a tar. Layers are stored
// uncompressed, so that a blob's name is the layer's diff id.
func (s *Store) SaveLayout(w io.Writer, images []Wanted) error {
	sv := &saver{store: s, tw: tar.NewWriter(w), done: make(map[string]bool)}
	index := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{}}
	if err := sv.json(v1.ImageLayoutFile, v1.ImageLayout{Version: v1.ImageLayoutVersion}, time.Unix(0, 0)); err != nil {
		return err
	}
	for _, want := range images {
		desc, err := sv.ociImage(want.Image)
		if err != nil {
			return fmt.Errorf("save %s: %w", want.Image.ImageID, err)
		}
		if len(want.Names) == 0 {
			index.Manifests = append(index.Manifests, desc)
		}
		for _, ref := range want.Names {
			named := desc
			named.Annotations = map[string]string{containerdName: ref.String(), v1.AnnotationRefName: ref.Tag}
			index.Manifests = append(index.Manifests, named)
		}
	}
	if err := sv.json(v1.ImageIndexFile, index, time.Unix(0, 0)); err != nil {
		return err
	}
	return sv.tw.Close()
}

// ociImage writes an image's blobs and describes its manifest.
func (sv *saver) ociImage(img *Image) (v1.Descriptor, error) {
	layers, err := sv.store.Chain(img)
	if err != nil {
		return v1.Descriptor{}, err
	}
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Layers: []v1.Descriptor{}}
	for _, l := range layers {
		size, err := sv.ociLayer(l)
		if err != nil {
			return v1.Descriptor{}, err
		}
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: l.DiffID, Size: size})
	}
	if m.Config, err = sv.blob(v1.MediaTypeImageConfig, img.Raw); err != nil {
		return v1.Descriptor{}, err
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return v1.Descriptor{}, err
	}
	desc, err := sv.blob(v1.MediaTypeImageManifest, raw)
	desc.Platform = &v1.Platform{Architecture: img.Architecture, OS: img.OS, Variant: img.Variant}
	return desc, err
}

func (sv *saver) ociLayer(l Layer) (size int64, err error) {
	err = sv.store.withLayerFile(l, func(f *os.File, n int64) error {
		size = n
		name := blobName(l.DiffID)
		if sv.done[name] {
			return nil
		}
		sv.done[name] = true
		return sv.write(name, n, f, time.Unix(0, 0))
	})
	return size, err
}

func (sv *saver) blob(mediaType string, data []byte) (v1.Descriptor, error) {
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	return d, sv.file(blobName(d.Digest), data, time.Unix(0, 0))
}

func blobName(d digest.Digest) string { return "blobs/sha256/" + d.Encoded() }

// ParseIndex reads index.json of an OCI layout, or an image index.
func ParseIndex(raw []byte) (v1.Index, error) {
	var index v1.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return index, fmt.Errorf("index.json: %w", err)
	}
	for _, d := range index.Manifests {
		if err := CheckDigest(d.Digest); err != nil {
			return index, fmt.Errorf("index.json: %w", err)
		}
	}
	return index, nil
}

// ParseImageManifest reads the manifest of one image.
func ParseImageManifest(raw []byte) (v1.Manifest, error) {
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	for _, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		if err := CheckDigest(d.Digest); err != nil {
			return m, fmt.Errorf("manifest: %w", err)
		}
	}
	return m, nil
}

// loadLayout takes in all images that the index of a layout names, for this
// machine's platform where an entry is an index of platforms itself.
func (s *Store) loadLayout(tree *layertar.Tree, raw []byte) ([]Loaded, error) {
	index, err := ParseIndex(raw)
	if err != nil {
		return nil, err
	}
	if len(index.Manifests) == 0 {
		return nil, errors.New("index.json: no image in it")
	}
	var loaded []Loaded
	for _, desc := range index.Manifests {
		l, err := s.loadDescriptor(tree, desc, 0)
		if err != nil {
			return loaded, fmt.Errorf("load %s: %w", desc.Digest, err)
		}
		loaded = append(loaded, l)
	}
	return loaded, nil
}

// loadDescriptor follows one entry; depth bounds indexes of indexes.
func (s *Store) loadDescriptor(tree *layertar.Tree, desc v1.Descriptor, depth int) (Loaded, error) {
	raw, err := readBlob(tree, desc)
	if err != nil {
		return Loaded{}, err
	}
	if desc.MediaType == v1.MediaTypeImageIndex && depth < 3 {
		index, err := ParseIndex(raw)
		if err != nil {
			return Loaded{}, err
		}
		for _, d := range index.Manifests {
			if p := d.Platform; p == nil || p.OS == "linux" && p.Architecture == runtime.GOARCH {
				d.Annotations = desc.Annotations // the outer entry has the name
				return s.loadDescriptor(tree, d, depth+1)
			}
		}
		return Loaded{}, fmt.Errorf("no image for linux/%s in the index", runtime.GOARCH)
	}
	m, err := ParseImageManifest(raw)
	if err != nil {
		return Loaded{}, err
	}
	config, err := readBlob(tree, m.Config)
	if err != nil {
		return Loaded{}, err
	}
	sources := make([]Source, len(m.Layers))
	for i, d := range m.Layers {
		sources[i] = func() (io.ReadCloser, error) { return openBlob(tree, d) }
	}
	img, err := s.Assemble(config, sources)
	if err != nil {
		return Loaded{}, err
	}
	return s.nameLoaded(img, desc.Annotations)
}

// nameLoaded gives the image the full name of the layout's entry, if there is
// one; a bare tag says nothing about the repository.
func (s *Store) nameLoaded(img *Image, annotations map[string]string) (Loaded, error) {
	l := Loaded{Image: img}
	name := annotations[containerdName]
	if name == "" {
		return l, nil
	}
	ref, err := ParseReference(name)
	if err != nil {
		return l, err
	}
	l.Names = []Reference{ref}
	return l, s.Tag(ref, img.ImageID)
}

// readBlob reads a small blob and checks that it is what its name says.
func readBlob(tree *layertar.Tree, d v1.Descriptor) ([]byte, error) {
	data, err := readAll(tree, blobName(d.Digest))
	if err != nil {
		return nil, err
	}
	if got := digest.FromBytes(data); got != d.Digest || int64(len(data)) != d.Size {
		return nil, fmt.Errorf("blob %s is damaged: %d bytes with the digest %s; want %d bytes", d.Digest, len(data), got, d.Size)
	}
	return data, nil
}

// openBlob opens a layer. Its bytes are checked through the diff id, which
// stands for them whatever the compression.
func openBlob(tree *layertar.Tree, d v1.Descriptor) (io.ReadCloser, error) {
	f, err := tree.Open(blobName(d.Digest))
	if err != nil {
		return nil, err
	}
	return f, nil
}
