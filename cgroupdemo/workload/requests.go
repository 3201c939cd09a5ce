package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/inside"
)

// The requests by which labs have a helper process do a workload. The helper is
// started inside the group (CLONE_INTO_CGROUP) or attached to it.
const (
	RequestBurn     = "cgroup.burn"     // BurnArgs -> Burned
	RequestAllocate = "cgroup.allocate" // AllocateArgs -> int, bytes
	RequestCount    = "cgroup.count"    // CountArgs -> uint64, the last number
	RequestFork     = "cgroup.fork"     // ForkArgs -> Forked
	RequestWrite    = "cgroup.write"    // WriteArgs -> Written
	RequestOpen     = "cgroup.open"     // OpenArgs -> nothing; the error is the answer
)

// BurnArgs: threads to keep busy, and for how long.
type BurnArgs struct {
	Threads int
	For     time.Duration
}

// AllocateArgs: bytes in all, bytes a step, and how long to keep them.
type AllocateArgs struct {
	Bytes, Step int
	Hold        time.Duration
}

// CountArgs: the counter's file, and for how long.
type CountArgs struct {
	Path string
	For  time.Duration
}

// ForkArgs: how many children at most, and how long they stay.
type ForkArgs struct {
	Max  int
	Hold time.Duration
}

// Forked is how many children there were and why no more.
type Forked struct {
	Made  int
	Errno syscall.Errno // 0: all that were asked for
	Error string
}

// WriteArgs: a device or file, the block size, and when to stop (Limit 0: by time alone).
type WriteArgs struct {
	Path  string
	Block int
	Limit uint64
	For   time.Duration
}

// OpenArgs: a path and the flags of open(2).
type OpenArgs struct {
	Path  string
	Flags int
}

func init() {
	register(RequestBurn, func(ctx context.Context, a BurnArgs) (any, error) {
		ctx, cancel := context.WithTimeout(ctx, a.For)
		defer cancel()
		return Burn(ctx, a.Threads), nil
	})
	register(RequestAllocate, func(ctx context.Context, a AllocateArgs) (any, error) {
		return Allocate(ctx, a.Bytes, a.Step, a.Hold)
	})
	register(RequestCount, func(ctx context.Context, a CountArgs) (any, error) {
		ctx, cancel := context.WithTimeout(ctx, a.For)
		defer cancel()
		return Count(ctx, a.Path)
	})
	register(RequestFork, fork)
	register(RequestWrite, func(ctx context.Context, a WriteArgs) (any, error) {
		ctx, cancel := context.WithTimeout(ctx, a.For)
		defer cancel()
		return WriteDirect(ctx, a.Path, a.Block, a.Limit)
	})
	register(RequestOpen, func(_ context.Context, a OpenArgs) (any, error) {
		fd, err := unix.Open(a.Path, a.Flags|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("open(%s): %w", a.Path, err)
		}
		return nil, unix.Close(fd)
	})
}

// fork puts the errno into the answer, because the number of children matters as much.
func fork(ctx context.Context, a ForkArgs) (any, error) {
	made, err := ForkUntilError(ctx, a.Max, a.Hold)
	out := Forked{Made: made}
	if err != nil {
		out.Error = err.Error()
		if !errors.As(err, &out.Errno) {
			return nil, err
		}
	}
	return out, nil
}

// register decodes the arguments for a handler.
func register[A any](name string, handle func(context.Context, A) (any, error)) {
	inside.Register(name, func(ctx context.Context, raw json.RawMessage) (any, error) {
		var args A
		if err := json.Unmarshal(raw, &args); err != nil {
			return nil, fmt.Errorf("%s: arguments %s: %w", name, raw, err)
		}
		return handle(ctx, args)
	})
}
