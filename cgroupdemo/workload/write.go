package workload

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Written is what a writer managed.
type Written struct {
	Bytes   uint64
	Elapsed time.Duration
}

// Rate is bytes a second.
func (w Written) Rate() float64 { return float64(w.Bytes) / w.Elapsed.Seconds() }

// WriteDirect writes blocks to the beginning of a device or file until ctx
// ends or limit bytes are written (0: no limit). O_DIRECT sends each block past the page cache
// to the device, in our name; written-back pages would be charged to the kernel
// on version 1. The block size has to suit the device: a multiple of 4096 does.
func WriteDirect(ctx context.Context, path string, block int, limit uint64) (Written, error) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return Written{}, fmt.Errorf("open(%s, O_WRONLY|O_DIRECT): %w", path, err)
	}
	defer unix.Close(fd)
	// O_DIRECT wants an aligned buffer; a mapping begins on a page.
	buf, err := unix.Mmap(-1, 0, block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return Written{}, fmt.Errorf("mmap %d bytes: %w", block, err)
	}
	defer unix.Munmap(buf)
	var w Written
	begin := time.Now()
	for ctx.Err() == nil && (limit == 0 || w.Bytes < limit) {
		n, err := unix.Pwrite(fd, buf, 0)
		if err != nil {
			return w, fmt.Errorf("pwrite(%s, %d bytes): %w", path, block, err)
		}
		w.Bytes += uint64(n)
	}
	w.Elapsed = time.Since(begin)
	return w, nil
}
