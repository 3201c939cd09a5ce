package cgroupdemo

import (
	"context"
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
	Kills  uint64 // processes killed since the last report, or since WatchOOM
	Total  Reading[uint64]
	Events int // notifications that the kernel sent on the way
}

// Wait sleeps until the OOM killer has ended a process of the group. The kernel
// notifies when the memory has run out, a moment before the kill is counted, so
// after waking the counter is looked at again until it moves.
func (w *OOMWatch) Wait(ctx context.Context) (OOM, error) {
	var report OOM
	for {
		report.Total = w.group.Memory().OOMKills
		if report.Total.Err == nil && report.Total.Value > w.seen && report.Events > 0 {
			report.Kills, w.seen = report.Total.Value-w.seen, report.Total.Value
			return report, nil
		}
		woken, err := w.wake()
		if woken {
			report.Events++
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return report, fmt.Errorf("wait for OOM in group %s: %w", w.group.Config.Name, err)
		}
	}
}

// wake reads one notification away. The deadline bounds the sleep, so that the
// counter (which moves a little later) and the caller's ctx are looked at.
func (w *OOMWatch) wake() (bool, error) {
	if err := w.file.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		return false, err
	}
	buf := make([]byte, 4096) // inotify refuses a buffer too small for one event
	_, err := w.file.Read(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false, nil
	}
	return err == nil, err
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
