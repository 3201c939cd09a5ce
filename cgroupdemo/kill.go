package cgroupdemo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Kill ends every process of the group and of the groups below it, and waits
// until they have left. With a v2 directory: 1 into cgroup.kill (Linux 5.14),
// which no fork can outrun. Without: SIGKILL to each (kill(2)), again and again,
// because a process may fork between our reading and our killing.
func (g *Group) Kill(ctx context.Context) error {
	if err := g.killFile(); err != nil {
		return fmt.Errorf("kill group %s: %w", g.Config.Name, err)
	}
	for {
		pids, err := g.Processes()
		if err != nil || len(pids) == 0 {
			return err
		}
		if err := g.killEach(pids); err != nil {
			return fmt.Errorf("kill group %s: %w", g.Config.Name, err)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("kill group %s: processes %v are still there (zombies leave when their parent waits for them): %w",
				g.Config.Name, pids, err)
		}
	}
}

// killFile uses cgroup.kill where there is one. It reaches only processes that
// are in the v2 group, hence the loop after it.
func (g *Group) killFile() error {
	for _, p := range g.Places {
		if p.Version != V2 {
			continue
		}
		if err := writeFile(filepath.Join(p.Dir, "cgroup.kill"), "1"); err != nil && !isGone(err) {
			return err
		}
		return nil
	}
	return nil
}

// killEach thaws after the signal: a frozen process of version 1 takes the
// signal only once it runs again (version 2 lets frozen processes die).
func (g *Group) killEach(pids []int) error {
	for _, pid := range pids {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill(%d, SIGKILL): %w", pid, err)
		}
	}
	p, err := g.Place(Freezer)
	if err != nil || p.Version != V1 {
		return nil
	}
	if err := writeFile(filepath.Join(p.Dir, "freezer.state"), Thawed); err != nil && !isGone(err) {
		return err
	}
	return nil
}
