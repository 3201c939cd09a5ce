package shim

import (
	"context"
	"strings"
	"sync/atomic"

	"cutaway/minicontainer"
	"cutaway/minicontainer/jsonlog"
	"cutaway/minicontainer/oci"
	"cutaway/volumedemo"
)

// startCode is what Docker's client exits with when a container could not be
// started: 127 there is no such program, 126 it cannot be executed, else 125.
// The runtime's errors from inside the container have crossed a socket as text.
func startCode(err error) int {
	text := err.Error()
	switch {
	case !strings.Contains(text, "exec"):
		return 125
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "no such file or directory"):
		return 127
	case strings.Contains(text, "permission denied"), strings.Contains(text, "exec format error"), strings.Contains(text, "is a directory"):
		return 126
	}
	return 125
}

// oomWatch notes whether the kernel killed in the container for want of memory.
type oomWatch struct {
	cancel context.CancelFunc
	seen   atomic.Bool
}

// watchOOM watches a container that has a limit; without one, want of memory is
// the host's.
func watchOOM(c *minicontainer.Container, rc *oci.Container) *oomWatch {
	if c.HostConfig.Memory == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &oomWatch{cancel: cancel}
	go rc.OOMs(ctx, func() { w.seen.Store(true) })
	return w
}

func (w *oomWatch) stop() bool {
	if w == nil {
		return false
	}
	w.cancel()
	return w.seen.Load()
}

// openLog opens the log that the record names.
func (l *life) openLog() error {
	if l.c.LogPath == "" {
		return nil
	}
	var limits jsonlog.Limits
	options := l.c.HostConfig.LogConfig.Config
	var err error
	if text := options["max-size"]; text != "" {
		if limits.MaxSize, err = volumedemo.ParseSize(text); err != nil {
			return err
		}
	}
	limits.MaxFile = number(options["max-file"])
	if l.log, err = jsonlog.Create(l.c.LogPath, limits); err != nil {
		return err
	}
	for n, name := range map[int]string{1: "stdout", 2: "stderr"} {
		split := &jsonlog.Splitter{Writer: l.log, Stream: name}
		l.streams.logs[n] = split
		l.splits = append(l.splits, split)
	}
	return nil
}

func number(text string) (n int) {
	for _, d := range text {
		if d < '0' || d > '9' {
			return 0
		}
		n = n*10 + int(d-'0')
	}
	return n
}
