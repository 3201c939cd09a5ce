package registry

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"cutaway/unionfs/image"
)

// A packed layer is one as the registry wants it: compressed, and named by the
// digest of the compressed bytes. That name has to be known before the first
// byte is sent, and compressing is what a push spends its time on. So a layer is
// compressed once, into a file without a name, which is gone when it is closed
// or when the program dies.
type packed struct {
	file   *os.File
	diff   v1.Hash
	digest v1.Hash
	size   int64
}

// pack compresses a layer of the store. Finish with Close.
func pack(s *image.Store, l image.Layer) (p *packed, err error) {
	p = &packed{diff: v1.Hash{Algorithm: l.DiffID.Algorithm().String(), Hex: l.DiffID.Encoded()}}
	if p.file, err = os.CreateTemp(filepath.Join(s.Root(), "tmp"), "push-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if err = os.Remove(p.file.Name()); err != nil {
		return nil, err
	}
	sum := sha256.New()
	// The level that go-containerregistry compresses with: the same layer has
	// the same digest, whichever of the two sent it first.
	zip, err := gzip.NewWriterLevel(io.MultiWriter(p.file, sum), gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err = s.WriteLayer(zip, l); err != nil {
		return nil, err
	}
	if err = zip.Close(); err != nil {
		return nil, err
	}
	p.digest = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	p.size, err = p.file.Seek(0, io.SeekCurrent)
	return p, err
}

// Close lets the compressed bytes go.
func (p *packed) Close() error { return p.file.Close() }

// descriptor is the layer's line in the manifest.
func (p *packed) descriptor() v1.Descriptor {
	return v1.Descriptor{MediaType: types.DockerLayer, Size: p.size, Digest: p.digest}
}

// What the module asks of a layer that it sends. Compressed is asked for again
// when a connection breaks.

func (p *packed) Digest() (v1.Hash, error)             { return p.digest, nil }
func (p *packed) DiffID() (v1.Hash, error)             { return p.diff, nil }
func (p *packed) Size() (int64, error)                 { return p.size, nil }
func (p *packed) MediaType() (types.MediaType, error)  { return types.DockerLayer, nil }
func (p *packed) Compressed() (io.ReadCloser, error)   { return io.NopCloser(p.reader()), nil }
func (p *packed) Uncompressed() (io.ReadCloser, error) { return gzip.NewReader(p.reader()) }

func (p *packed) reader() io.Reader { return io.NewSectionReader(p.file, 0, p.size) }
