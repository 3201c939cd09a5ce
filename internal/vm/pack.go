package vm

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// maxInitramfs is how big an initramfs may get before a slower, denser packing is
// chosen.
const maxInitramfs = 28 << 20

// packing is one way to store an initramfs.
type packing struct {
	name   string
	option string // what the kernel must be built with to unpack it
	writer func(io.Writer) (io.WriteCloser, error)
}

// packings go from quick to dense. What unpacking 54 MB costs a guest under TCG, over
// just copying it: LZ4 0.2 s, zstd 0.8 s, gzip 1.2 s (lib/decompress*.c).
var packings = []packing{
	{"plain", "CONFIG_BLK_DEV_INITRD", func(w io.Writer) (io.WriteCloser, error) { return keepOpen{w}, nil }},
	{"lz4", "CONFIG_RD_LZ4", newLegacyLZ4},
	{"zstd", "CONFIG_RD_ZSTD", func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }},
	{"gzip", "CONFIG_RD_GZIP", func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }},
}

// keepOpen is a writer whose Close leaves the file to its owner.
type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

// newLegacyLZ4 writes the LZ4 format that the kernel knows; it does not know the
// current one.
func newLegacyLZ4(w io.Writer) (io.WriteCloser, error) {
	z := lz4.NewWriter(w)
	return z, z.Apply(lz4.LegacyOption(true), lz4.CompressionLevelOption(lz4.Level1))
}

// usable keeps the packings that a kernel can undo, by its .config; of a kernel
// without one only gzip is certain (it is the default of every distribution).
func usable(config string) (list []packing) {
	for _, p := range packings {
		if p.name == "plain" || p.name == "gzip" || strings.Contains("\n"+config, "\n"+p.option+"=y\n") {
			list = append(list, p)
		}
	}
	return list
}

// write stores the initramfs in the first packing that is small enough, or the last.
func (p *initramfsPlan) write(name string) error {
	var config []byte
	if p.config != "" {
		var err error
		if config, err = os.ReadFile(p.config); err != nil {
			return err
		}
	}
	list := usable(string(config))
	for i, how := range list {
		size, err := p.writeAs(name, how)
		if err != nil {
			return fmt.Errorf("write %s (%s): %w", name, how.name, err)
		}
		if size <= maxInitramfs || i == len(list)-1 {
			return nil
		}
	}
	return nil
}

func (p *initramfsPlan) writeAs(name string, how packing) (size int64, err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	w, err := how.writer(f)
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	if err := errors.Join(p.archive(w), w.Close()); err != nil {
		return 0, errors.Join(err, f.Close())
	}
	info, err := f.Stat()
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	return info.Size(), f.Close()
}
