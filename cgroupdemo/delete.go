package cgroupdemo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Delete removes the group: rmdir(2) of the groups below it first, then its own
// directories, then the prefix folder if it is empty, and takes back what
// Create made groups above hand on. A group that is not there
// is no error. EBUSY is tried again until ctx ends, because a killed process
// leaves its group a moment after its parent has reaped it. Never a recursive
// delete: the files in a group cannot be removed and need not be.
func (g *Group) Delete(ctx context.Context) error {
	var errs []error
	for _, dir := range g.dirs() {
		for _, d := range tree(dir) {
			if err := rmdirRetry(ctx, d); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("delete group %s: %w", g.Config.Name, errors.Join(errs...))
	}
	g.removePrefix()
	g.takeBack()
	return nil
}

// takeBack makes the groups above hand on only what they did before. A refusal
// says that another group still needs it, so it stays.
func (g *Group) takeBack() {
	for _, h := range slices.Backward(g.Handed) {
		_ = h.TakeBack()
	}
	g.Handed = nil
}

// TakeBack writes -name for each controller to the group's
// cgroup.subtree_control (cgroup-v2.rst). EBUSY: another group below hands it on
// further. For who removes a group in a later process: keep [Group].Handed.
func (h Handed) TakeBack() error {
	var errs []error
	for _, c := range h.Controllers {
		err := writeFile(filepath.Join(h.Dir, "cgroup.subtree_control"), "-"+c)
		if err != nil && !isGone(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// removePrefix ignores refusals: EBUSY says that the folder has other groups.
func (g *Group) removePrefix() {
	for _, p := range g.Places {
		for dir := filepath.Join(p.Base, g.Config.Prefix); len(dir) > len(p.Base); dir = filepath.Dir(dir) {
			if rmdir(dir) != nil {
				break
			}
		}
	}
}

// rmdir counts a missing directory as removed.
func rmdir(dir string) error {
	err := unix.Rmdir(dir)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return fmt.Errorf("rmdir %s: %w", dir, err)
}

func rmdirRetry(ctx context.Context, dir string) error {
	for {
		err := rmdir(dir)
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		if pause(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("%w (see who is in it: cat %s/cgroup.procs; ls -d %s/*/)", err, dir, dir)
		}
	}
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
