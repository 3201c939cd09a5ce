package image

import (
	"bufio"
	"io"
	"sync/atomic"
)

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (c *counter) total() int64 { return c.n.Load() }

// newPeeker buffers enough that gzip and tar do not read byte by byte.
func newPeeker(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 128<<10) }
