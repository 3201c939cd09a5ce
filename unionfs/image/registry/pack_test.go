package registry

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"cutaway/internal/needs"
	"cutaway/unionfs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver/vfs"
	"cutaway/unionfs/image"
)

// TestPack: the packed layer is what its digests and its size say, as often as it
// is read, and its file has no name.
func TestPack(t *testing.T) {
	needs.Root(t)
	root := contract.TempDir(t)
	d, err := vfs.Open(filepath.Join(root, "vfs"))
	if err != nil {
		t.Fatal(err)
	}
	s := must(image.Open(root, unionfs.Driver(d)))(t)
	b := s.NewBuilder(nil, time.Unix(1_700_000_000, 0))
	b.AddFiles("ADD f", []image.File{{Name: "f", Mode: 0o644, Data: bytes.Repeat([]byte("layer "), 50_000)}})
	layers := must(s.Chain(must(b.Commit())(t)))(t)
	p := must(pack(s, layers[0]))(t)
	if left := must(os.ReadDir(filepath.Join(root, "tmp")))(t); len(left) > 0 {
		t.Errorf("tmp holds %v; want nothing", left)
	}
	for range 2 {
		digest, size, err := v1.SHA256(must(p.Compressed())(t))
		if err != nil || digest != p.digest || size != p.size {
			t.Errorf("Compressed() has digest %v, size %d, %v; want %v, %d", digest, size, err, p.digest, p.size)
		}
		diff, _, err := v1.SHA256(must(p.Uncompressed())(t))
		if err != nil || diff.String() != layers[0].DiffID.String() {
			t.Errorf("Uncompressed() has digest %v, %v; want the diff id %v", diff, err, layers[0].DiffID)
		}
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if _, err := io.ReadAll(must(p.Compressed())(t)); err == nil {
		t.Error("Compressed() is to be read after Close; want an error")
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
