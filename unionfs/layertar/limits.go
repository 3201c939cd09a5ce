package layertar

import (
	"errors"
	"fmt"
	"io"
)

// Limits bound what one layer may do to the disk. A zero field takes the
// default below.
type Limits struct {
	Bytes   int64 // sum of file contents, default 64 GiB
	Entries int64 // tar entries, default 4 million
	Ratio   int64 // unpacked bytes per compressed byte, default 2000, see RatioReader
}

// ErrLimit is in every error that a limit caused.
var ErrLimit = errors.New("layer exceeds a limit")

const (
	defaultBytes   = 64 << 30
	defaultEntries = 4 << 20
	defaultRatio   = 2000
	// ratioGrace is how much may be unpacked before the ratio counts: a small
	// layer of zeros is no harm.
	ratioGrace = 64 << 20
)

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = defaultBytes
	}
	if l.Entries == 0 {
		l.Entries = defaultEntries
	}
	if l.Ratio == 0 {
		l.Ratio = defaultRatio
	}
	return l
}

func (l Limits) check(r Result) error {
	switch {
	case r.Entries > l.Entries:
		return fmt.Errorf("%w: more than %d entries", ErrLimit, l.Entries)
	case r.Bytes > l.Bytes:
		return fmt.Errorf("%w: more than %d bytes of files", ErrLimit, l.Bytes)
	}
	return nil
}

// RatioReader passes on an unpacked stream and fails with ErrLimit once it is
// out of all proportion to the compressed bytes read so far. packed returns
// that count. DEFLATE itself reaches 1032:1 on zeros; only a stream that was
// compressed again, or another format, gets far beyond.
func RatioReader(unpacked io.Reader, packed func() int64, limits Limits) io.Reader {
	return &ratioReader{r: unpacked, packed: packed, limits: limits.withDefaults()}
}

type ratioReader struct {
	r      io.Reader
	packed func() int64
	limits Limits
	out    int64
}

func (r *ratioReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.out += int64(n)
	if r.out > ratioGrace && r.out > r.limits.Ratio*max(r.packed(), 1) {
		return n, fmt.Errorf("%w: %d bytes unpacked from %d, more than %d:1", ErrLimit, r.out, r.packed(), r.limits.Ratio)
	}
	return n, err
}
