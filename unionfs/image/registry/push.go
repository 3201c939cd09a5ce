package registry

import (
	"context"
	"errors"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"

	"cutaway/unionfs/image"
)

// Push sends an image to the registry under ref and returns the manifest's
// digest. Blobs that the registry has are not sent.
func Push(ctx context.Context, s *image.Store, img *image.Image, ref image.Reference, o Options) (digest.Digest, error) {
	o = o.withDefaults()
	d, err := push(ctx, s, img, ref, o)
	if err != nil {
		return "", explain("push", ref, err)
	}
	return d, nil
}

func push(ctx context.Context, s *image.Store, img *image.Image, ref image.Reference, o Options) (digest.Digest, error) {
	rn, err := remoteName(ref, o)
	if err != nil {
		return "", err
	}
	layers, err := s.Chain(img)
	if err != nil {
		return "", err
	}
	local := &localImage{store: s, img: img, layers: layers}
	whole, err := partial.UncompressedToImage(local)
	if err != nil {
		return "", err
	}
	if err := pushLayers(ctx, whole, local, rn.Context(), o); err != nil {
		return "", err
	}
	// The layers are there; this sends the configuration and the manifest.
	if err := remote.Write(rn, whole, remoteOptions(ctx, o)...); err != nil {
		return "", err
	}
	h, err := whole.Digest()
	if err != nil {
		return "", err
	}
	d := digest.Digest(h.String())
	byDigest := ref
	byDigest.Tag, byDigest.Digest = "", d
	return d, s.Tag(byDigest, img.ImageID)
}

// pushLayers sends the layers one by one, so that each can be reported on.
func pushLayers(ctx context.Context, whole v1.Image, local *localImage, repo name.Repository, o Options) error {
	list, err := whole.Layers()
	if err != nil {
		return err
	}
	for i, l := range list {
		p := Progress{Layer: local.layers[i].DiffID, State: Pushing, Total: local.layers[i].Size}
		o.Report(p)
		h, err := l.Digest()
		if err != nil {
			return err
		}
		there, err := hasBlob(ctx, repo, h, o)
		if err != nil {
			return err
		}
		if there {
			p.State = PushExists
		} else if err := remote.WriteLayer(repo, l, remoteOptions(ctx, o)...); err != nil {
			return err
		} else {
			p.State = Pushed
		}
		o.Report(p)
	}
	return nil
}

// hasBlob asks HEAD /v2/<name>/blobs/<digest>. Registries differ in how they say
// no; whatever is not a yes means that the layer is sent.
func hasBlob(ctx context.Context, repo name.Repository, h v1.Hash, o Options) (bool, error) {
	l, err := remote.Layer(repo.Digest(h.String()), remoteOptions(ctx, o)...)
	if err != nil {
		return false, err
	}
	ok, err := partial.Exists(l)
	return ok && err == nil, ctx.Err()
}

// localImage shows a stored image to the module: configuration bytes, and layers
// as plain tars. The module compresses and describes them.
type localImage struct {
	store  *image.Store
	img    *image.Image
	layers []image.Layer
}

// RawConfigFile is the configuration, byte for byte.
func (l *localImage) RawConfigFile() ([]byte, error) { return l.img.Raw, nil }

// MediaType is Docker's, as `docker push` sends it.
func (l *localImage) MediaType() (types.MediaType, error) { return types.DockerManifestSchema2, nil }

// LayerByDiffID finds one layer.
func (l *localImage) LayerByDiffID(h v1.Hash) (partial.UncompressedLayer, error) {
	for _, layer := range l.layers {
		if layer.DiffID.String() == h.String() {
			return &localLayer{l.store, layer, h}, nil
		}
	}
	return nil, errors.New("no layer with the diff id " + h.String())
}

type localLayer struct {
	store *image.Store
	layer image.Layer
	diff  v1.Hash
}

func (l *localLayer) DiffID() (v1.Hash, error)            { return l.diff, nil }
func (l *localLayer) MediaType() (types.MediaType, error) { return types.DockerLayer, nil }

// Uncompressed streams the layer's tar as it is put together.
func (l *localLayer) Uncompressed() (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(l.store.WriteLayer(w, l.layer)) }()
	return r, nil
}
