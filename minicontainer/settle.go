package minicontainer

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"cutaway/minicontainer/oci"
	"cutaway/unionfs"
)

// settled reads a record, after bringing it in line with the kernel if what it
// says cannot be so any more: it says that there is something of the container
// beside its files, and there is no shim.
func (e *Engine) settled(id string) (*Container, error) {
	c, err := e.load(id)
	if err != nil || !c.State.Stale() || e.ShimAlive(id) {
		return c, err
	}
	died := false
	c, err = e.Change(id, func(c *Container) error {
		// Once more under the lock, which a shim has when it begins and ends.
		if died = c.State.Stale() && !e.ShimAlive(id); !died {
			return nil
		}
		return e.Settle(c)
	})
	// Settled it is, even where there is no room to write that down: it can be
	// seen, and be removed to make room.
	if err != nil && !noRoom(err) {
		return nil, err
	}
	if c.HostConfig.AutoRemove && died {
		return nil, errors.Join(&NotFound{id}, e.Remove(id, RemoveOptions{Volumes: true}))
	}
	return c, nil
}

// Stale says that processes, mounts or links of the container may exist: a
// shim notes the boot before it makes any, and strikes it out after.
func (s *State) Stale() bool { return s.BootID != "" }

// Settle takes down what a dead shim left of a container and writes into the
// record, which the caller has locked and saves, that it does not run. Its exit
// code died with the shim; 137 is what the SIGKILL makes of it that ends it now,
// and what Docker's restart would say.
func (e *Engine) Settle(c *Container) error {
	boot, err := BootID()
	if err != nil {
		return err
	}
	if c.State.BootID == boot {
		if err := e.TakeDown(c, nil); err != nil {
			return fmt.Errorf("container %s lost its shim and cannot be taken down: %w", ShortID(c.ID), err)
		}
	}
	c.NetworkSettings.Clear()
	if c.State.Running {
		c.State.Ended(137)
	}
	c.State.Rootfs, c.State.BootID = "", ""
	return nil
}

// TakeDown removes all that a running container has beside its record, in
// reverse order of its making; only leaving its networks, which is mostly waiting
// for the kernel, goes on beside the rest. What is gone already is no error. box is
// the runtime's container, nil for who does not have it.
func (e *Engine) TakeDown(c *Container, box *oci.Container) error {
	left := make(chan error, 1)
	go func() { left <- e.leaveNetworks(c) }()
	return errors.Join(
		e.deleteBox(c.ID, box),
		e.unmountRoot(c),
		unmountAbove(e.File(c.ID, "shm")),
		e.dropLinks(c),
		<-left,
	)
}

func (e *Engine) deleteBox(id string, box *oci.Container) error {
	if box != nil {
		if err := box.Delete(true); !errors.Is(err, oci.ErrNotExist) {
			return err
		}
	}
	return e.Runtime.Delete(id, true)
}

// unmountRoot unmounts the root, wherever the driver had it: a shim that died
// early has not written that down.
func (e *Engine) unmountRoot(c *Container) error {
	path := c.State.Rootfs
	if path == "" {
		m, err := e.Images.MountRoot(c.ID)
		if err != nil {
			return err
		}
		path = m.Path
		if err := m.Release(); err != nil {
			return err
		}
	}
	return unmountAbove(path)
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
