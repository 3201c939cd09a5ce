package image

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/vbatts/tar-split/tar/asm"
	"github.com/vbatts/tar-split/tar/storage"

	"cutaway/unionfs"
	"cutaway/unionfs/layertar"
)

// WriteLayer writes a layer's tar, equal bit by bit to the one that was
// registered, and checks that by the diff id.
func (s *Store) WriteLayer(w io.Writer, l Layer) (err error) {
	skeleton, err := os.Open(filepath.Join(s.layerDir(l.ChainID), "tar-split.json.gz"))
	if err != nil {
		return err
	}
	defer skeleton.Close()
	zip, err := gzip.NewReader(newPeeker(skeleton))
	if err != nil {
		return fmt.Errorf("layer %s: tar-split.json.gz: %w", l.ChainID, err)
	}
	m, err := s.Driver.Mount(l.CacheID, unionfs.MountOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Release()) }()
	files, err := layertar.OpenTree(m.Path)
	if err != nil {
		return err
	}
	defer files.Close()
	tar := asm.NewOutputTarStream(contents{files}, storage.NewJSONUnpacker(zip))
	defer tar.Close()
	verify := digest.SHA256.Digester()
	if _, err := io.Copy(io.MultiWriter(w, verify.Hash()), tar); err != nil {
		return fmt.Errorf("layer %s: write its tar: %w", l.ChainID, err)
	}
	if got := verify.Digest(); got != l.DiffID {
		return fmt.Errorf("layer %s: the tar written has the diff id %s; want %s: files of the layer were changed on disk", l.ChainID, got, l.DiffID)
	}
	return nil
}

// contents gives tar-split the files that it left out, opened inside the
// layer's tree: a path in the skeleton must not follow a link out of it.
type contents struct{ tree *layertar.Tree }

func (c contents) Get(name string) (io.ReadCloser, error) {
	clean, err := layertar.CleanName(name)
	if err != nil {
		return nil, err
	}
	if filepath.Base(clean) == layertar.OpaqueMarker {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	return c.tree.Open(clean)
}
