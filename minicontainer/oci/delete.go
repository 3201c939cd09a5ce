package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Delete removes a stopped container: what is left of its processes, its
// cgroup, its folder. Then the poststop hooks run. With force a container that
// still runs is killed first.
func (c *Container) Delete(force bool) error {
	lock, err := c.rt.store().lock(c.ID)
	if err != nil {
		return err
	}
	defer lock.Close()
	switch status := c.Status(); {
	case status == Stopped:
	case force || status == Created:
		if err := c.end(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("cannot delete container %s that is not stopped: %s", c.ID, status)
	}
	return c.destroy()
}

// end kills the container's process and waits until it is gone.
func (c *Container) end() error {
	fd, err := c.openPidfd()
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer fd.Close()
	if err := c.Kill(unix.SIGKILL); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	return waitGone(fd, 10*time.Second)
}

// waitGone waits for the end of a process that need not be a child (poll(2) on a pidfd).
func waitGone(pidfd *os.File, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		left := time.Until(deadline)
		fds := []unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(max(left.Milliseconds(), 0)))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("poll the container's process: %w", err)
		case n > 0:
			return nil
		case left <= 0:
			return fmt.Errorf("container init still running after SIGKILL and %s", limit)
		}
	}
}

// destroy takes back what create made.
func (c *Container) destroy() error {
	if err := c.destroyGroup(); err != nil {
		return err
	}
	if err := c.rt.store().remove(c.ID); err != nil {
		return err
	}
	c.rt.warn(runAllHooks("poststop", c.Bundle, hookLists(c.Spec).Poststop, c.hookState(specs.StateStopped)))
	return nil
}

// destroyGroup removes the cgroup. Mostly nobody is left in it, and the kernel says
// so itself. A container without a pid namespace of its own leaves processes behind,
// and a runtime that was killed a stage that it had not written down: they end with
// the group. But where somebody was in it before the container, it stays for them.
func (c *Container) destroyGroup() error {
	g, err := c.openGroups()
	if err != nil || deleteGroup(g, 0) == nil {
		return nil
	}
	if c.Shares && newNamespace(c.Spec, specs.PIDNamespace) {
		c.rt.warn(deleteGroup(g, lateLeave))
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(g.Kill(ctx), deleteGroup(g, lateLeave))
}

// Delete is Container.Delete by name. With force a container that does not
// exist is no error, and neither is what a crash in the first moments of create
// left: a folder without a state in it.
func (r *Runtime) Delete(id string, force bool) error {
	c, err := r.Open(id)
	if force && errors.Is(err, ErrNotExist) {
		return r.store().remove(id)
	}
	if err != nil {
		return err
	}
	return c.Delete(force)
}
