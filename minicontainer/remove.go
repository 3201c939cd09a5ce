package minicontainer

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// RemoveOptions are those of rm.
type RemoveOptions struct {
	Force   bool // kill it first
	Volumes bool // its anonymous volumes too
}

// Remove takes a container away with all that was made for it.
func (e *Engine) Remove(ref string, o RemoveOptions) error {
	id, err := e.resolve(ref)
	if err != nil {
		return err
	}
	c, err := e.load(id)
	if isDamaged(err) {
		return e.removeDamaged(id)
	}
	if err != nil {
		return err
	}
	if c.State.Running && e.ShimAlive(id) && o.Force {
		if err := e.Kill(id, unix.SIGKILL); err != nil && !isConflict(err) {
			return err
		}
	}
	lock, err := e.lock(id)
	if gone := (*NotFound)(nil); errors.As(err, &gone) {
		return nil // --rm was faster
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if c, err = e.load(id); err != nil {
		if gone := (*NotFound)(nil); errors.As(err, &gone) {
			return nil
		}
		return err
	}
	return e.RemoveLocked(c, o)
}

func isConflict(err error) bool {
	var c *Conflict
	return errors.As(err, &c)
}

// RemoveLocked removes a container whose folder the caller has locked.
func (e *Engine) RemoveLocked(c *Container, o RemoveOptions) error {
	if c.State.Running && e.ShimAlive(c.ID) {
		return refuseRunning(c)
	}
	if c.State.Stale() {
		if err := e.Settle(c); err != nil {
			return err
		}
	}
	// From here on it cannot be started any more, and a second rm goes on where
	// this one is interrupted. A disk too full to note that is a reason to remove.
	c.State.RemovalInProgress = true
	if err := e.saveState(c); err != nil && !noRoom(err) {
		return err
	}
	if err := e.removeLayers(c.ID); err != nil {
		return err
	}
	if err := e.dropVolumes(c, o.Volumes); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(e.shimDir(c.ID)), os.RemoveAll(e.linkersDir(c.ID))); err != nil {
		return err
	}
	// The record before the name: a container that cannot be named any more could not
	// be removed a second time. The folder after the name: while it is there, nobody
	// takes the name for given up. Without a record, Sweep clears whatever is left.
	if err := os.Remove(e.File(c.ID, "config.v2.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := e.dropName(c.PlainName(), c.ID); err != nil {
		return err
	}
	return os.RemoveAll(e.containerDir(c.ID))
}

// removeLayers removes the container's layers.
func (e *Engine) removeLayers(id string) error {
	err := e.Images.RemoveRoot(id)
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	// A cp or diff of a stopped container mounts its layers. Killed in the middle,
	// it leaves them mounted.
	return errors.Join(e.unmountLayers(id), e.Images.RemoveRoot(id))
}

func refuseRunning(c *Container) error {
	state, way := "running", "Stop the container before attempting removal or force remove"
	switch {
	case c.State.Paused:
		state, way = "paused", "Unpause and then stop the container before attempting removal or force remove"
	case c.State.Restarting:
		state = "restarting"
	}
	return conflictf("You cannot remove a %s container %s. %s", state, c.ID, way)
}

// Prune removes all containers that do not run, and gives their ids and the
// bytes that they had written.
func (e *Engine) Prune(filters map[string][]string) (ids []string, bytes int64, err error) {
	all, err := e.List(ListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, 0, err
	}
	for _, c := range all {
		if c.State.Running {
			continue
		}
		size, _ := e.Images.RootSize(c.ID)
		if err := e.Remove(c.ID, RemoveOptions{}); err != nil {
			return ids, bytes, err
		}
		ids, bytes = append(ids, c.ID), bytes+size
	}
	return ids, bytes, e.Sweep()
}
