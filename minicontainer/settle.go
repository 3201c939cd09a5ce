package minicontainer

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"cutaway/unionfs"
)

// settled reads a record, after bringing it in line with the kernel if what it
// says cannot be so any more: it says "running", and there is no shim.
func (e *Engine) settled(id string) (*Container, error) {
	c, err := e.load(id)
	if err != nil || !c.State.Running || e.ShimAlive(id) {
		return c, err
	}
	c, err = e.Change(id, func(c *Container) error {
		// Once more under the lock: a shim sets and clears "running" under it.
		if !c.State.Running || e.ShimAlive(id) {
			return nil
		}
		return e.Settle(c)
	})
	if err != nil {
		return nil, err
	}
	if c.HostConfig.AutoRemove && !c.State.Running {
		return nil, errors.Join(&NotFound{id}, e.Remove(id, RemoveOptions{Volumes: true}))
	}
	return c, nil
}

// Settle takes down what a dead shim left of a container and writes into the
// record, which the caller has locked and saves, that it does not run. Its exit
// code died with the shim; 137 is what the SIGKILL makes of it that ends it now,
// and what Docker's restart would say.
func (e *Engine) Settle(c *Container) error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	if c.State.BootID == boot {
		if err := e.TakeDown(c); err != nil {
			return fmt.Errorf("container %s lost its shim and cannot be taken down: %w", ShortID(c.ID), err)
		}
	}
	c.NetworkSettings.Clear()
	c.State.Ended(137)
	return nil
}

// TakeDown removes all that a running container has beside its record, in
// reverse order of its making. What is gone already is no error.
func (e *Engine) TakeDown(c *Container) error {
	errs := []error{
		e.Runtime.Delete(c.ID, true),
		e.leaveNetworks(c),
	}
	if c.State.Rootfs != "" {
		errs = append(errs, unmountAbove(c.State.Rootfs))
	}
	return errors.Join(errs...)
}

// unmountAbove unmounts the mount point that path is, or lies in: some drivers
// keep the root in a folder of their mount.
func unmountAbove(path string) error {
	for range 2 {
		is, err := unionfs.IsMountPoint(path)
		if err != nil {
			return nil // not there at all
		}
		if is {
			return unionfs.Unmount(path)
		}
		path = filepath.Dir(path)
	}
	return nil
}

// Ended is the state after the process has.
func (s *State) Ended(code int) {
	s.Running, s.Paused, s.Restarting = false, false, false
	s.Pid, s.ExitCode, s.FinishedAt = 0, code, time.Now().UTC()
	s.Rootfs, s.BootID = "", ""
}
