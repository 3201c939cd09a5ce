package workload

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Count raises a number in a file once a millisecond until ctx ends, and
// returns the last one. The file (8 bytes, native order) is mapped into memory
// and shared, so it shows the number even while we are frozen.
func Count(ctx context.Context, path string) (uint64, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := f.Truncate(8); err != nil {
		return 0, err
	}
	page, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return 0, fmt.Errorf("mmap %s: %w", path, err)
	}
	defer unix.Munmap(page)
	n := binary.NativeEndian.Uint64(page)
	for pause(ctx, time.Millisecond) == nil {
		n++
		binary.NativeEndian.PutUint64(page, n)
	}
	return n, nil
}

// ReadCount reads what [Count] has written so far.
func ReadCount(path string) (uint64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	if len(data) != 8 {
		return 0, fmt.Errorf("%s has %d bytes: want the 8 of a counter", path, len(data))
	}
	return binary.NativeEndian.Uint64(data), nil
}

// pause waits, or gives ctx's error at its end.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
