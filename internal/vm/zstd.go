package vm

import (
	"io"

	"github.com/klauspost/compress/zstd"
)

// newZstdReader reads with a small window and no goroutines; it holds nothing that
// would have to be closed.
func newZstdReader(r io.Reader) (io.Reader, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxKernelBytes))
}
