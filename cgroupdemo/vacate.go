package cgroupdemo

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"syscall"
)

// Vacate makes a v2 group fit to hand on controllers: it makes the child group
// leaf in it and moves every process of dir there. This is the known answer to
// "no internal processes" (EBUSY on cgroup.subtree_control), used by container
// engines that start in a scope or a container of their own. Only for a group
// that was delegated to the caller: never called by [Create].
func Vacate(dir, leaf string) (*Group, error) {
	inner := filepath.Join(dir, leaf)
	if err := (Step{Op: OpMkdir, Path: inner}).do(); err != nil {
		return nil, fmt.Errorf("vacate %s: %w", dir, err)
	}
	g := &Group{Config: Config{Name: leaf}, Places: []Place{{Core, V2, dir, inner}}}
	// New processes may be forked while we move, so look again until none is left.
	for range 10 {
		pids, err := pidsIn(dir)
		if err != nil || len(pids) == 0 {
			return g, err
		}
		for _, pid := range pids {
			err := writeFile(filepath.Join(inner, "cgroup.procs"), strconv.Itoa(pid))
			if err != nil && !errors.Is(err, syscall.ESRCH) { // ended meanwhile
				return g, fmt.Errorf("vacate %s: process %d: %w", dir, pid, err)
			}
		}
	}
	return g, fmt.Errorf("vacate %s: processes keep appearing: %w", dir, syscall.EBUSY)
}
