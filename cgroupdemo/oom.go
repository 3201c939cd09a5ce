package cgroupdemo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// OOMWatch is told by the kernel when the group runs out of memory. Two ways:
//
//	version 1: an eventfd(2) is registered by writing "<its fd> <fd of
//	           memory.oom_control>" to cgroup.event_control; it becomes
//	           readable at each OOM (cgroup-v1/memory.rst, "OOM Control")
//	version 2: inotify(7) reports a modification of memory.events whenever
//	           one of its counters changes; the counter then says which
//
// Close it; a pending Wait then returns os.ErrClosed.
type OOMWatch struct {
	file    *os.File // eventfd or inotify
	control *os.File // v1: memory.oom_control has to stay open
	group   *Group
	seen    uint64 // oom_kill at the last look
}

// WatchOOM registers. Register before the program starts: events from before
// are not told.
func (g *Group) WatchOOM() (*OOMWatch, error) {
	p, err := g.Place(Memory)
	if err != nil {
		return nil, err
	}
	w := &OOMWatch{group: g}
	if p.Version == V1 {
		err = w.register(p.Dir)
	} else {
		err = w.watch(p.Dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch group %s for OOM: %w", g.Config.Name, err), w.Close())
	}
	w.seen = g.Memory().OOMKills.Value
	return w, nil
}

func (w *OOMWatch) register(dir string) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	w.file = os.NewFile(uintptr(fd), "eventfd for "+dir)
	if w.control, err = os.Open(filepath.Join(dir, "memory.oom_control")); err != nil {
		return err
	}
	// Fd() would make the eventfd blocking again; the number is known already.
	return writeFile(filepath.Join(dir, "cgroup.event_control"), fmt.Sprintf("%d %d", fd, w.control.Fd()))
}

func (w *OOMWatch) watch(dir string) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("inotify_init1: %w", err)
	}
	w.file = os.NewFile(uintptr(fd), "inotify for "+dir)
	path := filepath.Join(dir, "memory.events")
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_MODIFY); err != nil {
		return fmt.Errorf("inotify_add_watch %s: %w", path, err)
	}
	return nil
}

// OOM is one report.
type OOM struct {
	Kills uint64 // processes killed since the last report, or since WatchOOM
	Total Reading[uint64]
}

// Wait sleeps until the OOM killer has ended a process of the group. The event
// is sent when the memory has run out, a moment before the kill is counted, so
// after waking the counter is looked at until it moves.
func (w *OOMWatch) Wait(ctx context.Context) (OOM, error) {
	stop := context.AfterFunc(ctx, func() { _ = w.file.SetReadDeadline(time.Now()) })
	defer stop()
	for {
		total := w.group.Memory().OOMKills
		if total.Err == nil && total.Value > w.seen {
			report := OOM{total.Value - w.seen, total}
			w.seen = total.Value
			return report, nil
		}
		if err := w.wake(); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return OOM{}, fmt.Errorf("wait for OOM in group %s: %w", w.group.Config.Name, err)
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return OOM{}, fmt.Errorf("wait for OOM in group %s: %w", w.group.Config.Name, err)
		}
	}
}

// wake reads one event away. The deadline bounds the sleep, because one event
// may stand for several kills; then the counter is looked at again.
func (w *OOMWatch) wake() error {
	if err := w.file.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		return err
	}
	buf := make([]byte, 4096) // inotify refuses a buffer that is too small for one event
	n, err := w.file.Read(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err == nil && n == 8 && binary.NativeEndian.Uint64(buf) == 0 {
		return fmt.Errorf("empty event")
	}
	return err
}

// Close ends the watch; the kernel forgets an eventfd that is closed.
func (w *OOMWatch) Close() error {
	var errs []error
	for _, f := range []*os.File{w.file, w.control} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
