package registry

import (
	"context"
	"encoding/json"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
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

// push sends the layers, then the configuration, then the manifest that names
// them: a registry refuses a manifest of which something is missing.
func push(ctx context.Context, s *image.Store, img *image.Image, ref image.Reference, o Options) (digest.Digest, error) {
	rn, err := remoteName(ref, o)
	if err != nil {
		return "", err
	}
	layers, err := s.Chain(img)
	if err != nil {
		return "", err
	}
	config := static.NewLayer(img.Raw, types.DockerConfigJSON)
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2, Layers: []v1.Descriptor{}}
	m.Config = v1.Descriptor{MediaType: types.DockerConfigJSON, Size: int64(len(img.Raw))}
	if m.Config.Digest, err = config.Digest(); err != nil {
		return "", err
	}
	for _, l := range layers {
		sent, err := pushLayer(ctx, s, l, rn.Context(), o)
		if err != nil {
			return "", err
		}
		m.Layers = append(m.Layers, sent)
	}
	if err := remote.WriteLayer(rn.Context(), config, remoteOptions(ctx, o)...); err != nil {
		return "", err
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	if err := remote.Put(rn, manifest(raw), remoteOptions(ctx, o)...); err != nil {
		return "", err
	}
	d := digest.FromBytes(raw)
	byDigest := ref
	byDigest.Tag, byDigest.Digest = "", d
	return d, s.Tag(byDigest, img.ImageID)
}

// pushLayer sends one layer, unless the registry has it. One at a time: its
// compressed form takes room on the disk only while it is sent.
func pushLayer(ctx context.Context, s *image.Store, l image.Layer, repo name.Repository, o Options) (d v1.Descriptor, err error) {
	p := Progress{Layer: l.DiffID, State: Pushing, Total: l.Size}
	o.Report(p)
	layer, err := pack(s, l)
	if err != nil {
		return d, err
	}
	defer layer.Close()
	there, err := hasBlob(ctx, repo, layer.digest, o)
	if err != nil {
		return d, err
	}
	p.State = PushExists
	if !there {
		p.State = Pushed
		if err := remote.WriteLayer(repo, layer, remoteOptions(ctx, o)...); err != nil {
			return d, err
		}
	}
	o.Report(p)
	return layer.descriptor(), nil
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

// manifest is a manifest's bytes, of Docker's kind, as `docker push` sends it.
type manifest []byte

// RawManifest is what the module sends.
func (m manifest) RawManifest() ([]byte, error) { return m, nil }

// MediaType is what it says that it sends.
func (manifest) MediaType() (types.MediaType, error) { return types.DockerManifestSchema2, nil }
