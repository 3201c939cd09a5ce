package workload

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Allocate takes memory in steps with mmap(2) and touches every page, since the
// kernel charges a page when it is first written, not when it is promised. It
// holds all of it for a while and gives it back. step 0 means one step. The
// result is the bytes it got; a group's OOM killer may end us before that.
func Allocate(ctx context.Context, bytes, step int, hold time.Duration) (int, error) {
	if step <= 0 {
		step = bytes
	}
	var blocks [][]byte
	defer func() {
		for _, b := range blocks {
			_ = unix.Munmap(b) // the process is about to answer; nothing depends on it
		}
	}()
	got := 0
	for got < bytes && ctx.Err() == nil {
		block, err := unix.Mmap(-1, 0, min(step, bytes-got), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			return got, fmt.Errorf("mmap %d bytes after %d: %w", min(step, bytes-got), got, err)
		}
		blocks = append(blocks, block)
		for i := 0; i < len(block); i += os.Getpagesize() {
			block[i] = 1
		}
		got += len(block)
	}
	return got, pause(ctx, hold)
}
