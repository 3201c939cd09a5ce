package cgroupdemo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Attach moves a process with all its threads into the group: its id into
// cgroup.procs of every directory of the group (cgroups(7)). Children that it
// has already stay where they are; those it starts from now on are born here.
// Each hierarchy is a move of its own: after an error the process may be in the
// group in some of them; [Group.Release] takes it out of all.
func (g *Group) Attach(pid int) error {
	for _, dir := range g.dirs() {
		if err := writeFile(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("attach process %d to group %s: %w", pid, g.Config.Name, err)
		}
	}
	return nil
}

// AttachThread moves one thread: its id into tasks (version 1) or
// cgroup.threads (version 2, where the group has to be of type "threaded" and
// below the process's own group: EOPNOTSUPP otherwise). Only one controller's
// hierarchy is touched, since v1's memory controller does not follow threads.
func (g *Group) AttachThread(c Controller, tid int) error {
	p, err := g.Place(c)
	if err != nil {
		return err
	}
	file := "tasks"
	if p.Version == V2 {
		file = "cgroup.threads"
	}
	if err := writeFile(filepath.Join(p.Dir, file), strconv.Itoa(tid)); err != nil {
		return fmt.Errorf("attach thread %d to group %s: %w", tid, g.Config.Name, err)
	}
	return nil
}

// Release moves a process back to where the group's Base is, in every
// hierarchy. On version 2 the base may refuse (EBUSY): it hands on controllers.
func (g *Group) Release(pid int) error {
	var errs []error
	for _, p := range g.Places {
		errs = append(errs, writeFile(filepath.Join(p.Base, "cgroup.procs"), strconv.Itoa(pid)))
	}
	return errors.Join(errs...)
}

// OpenDir opens the group's v2 directory for CLONE_INTO_CGROUP (clone3(2)): set
// it as SysProcAttr.CgroupFD with UseCgroupFD, and the child is born inside,
// without a moment outside. Version 1 has no such thing.
func (g *Group) OpenDir() (*os.File, error) {
	for _, p := range g.Places {
		if p.Version == V2 {
			fd, err := unix.Open(p.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				return nil, fmt.Errorf("open group %s: %w", p.Dir, err)
			}
			return os.NewFile(uintptr(fd), p.Dir), nil
		}
	}
	return nil, fmt.Errorf("group %s has no directory in a cgroup2 hierarchy: CLONE_INTO_CGROUP cannot be used, attach the pid instead: %w", g.Config.Name, ErrNoController)
}
