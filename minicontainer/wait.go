package minicontainer

import (
	"context"
	"errors"
)

// Wait waits until a container does not run and gives its exit code; at once
// for one that does not.
func (e *Engine) Wait(ctx context.Context, ref string) (int, error) {
	c, err := e.Inspect(ref)
	if err != nil {
		return 0, err
	}
	if !c.State.Running {
		return c.State.ExitCode, nil
	}
	s, err := e.call(c.ID)
	if err != nil {
		return e.codeOf(c.ID, err)
	}
	defer s.Close()
	if err := s.line.Send(Request{Wait: true}); err != nil {
		return e.codeOf(c.ID, err)
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	code, err := s.Wait()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if errors.Is(err, ErrShimGone) {
		return e.codeOf(c.ID, err)
	}
	return code, err
}

// codeOf is the exit code of a container whose shim could not be asked, as it
// has just ended.
func (e *Engine) codeOf(id string, err error) (int, error) {
	c, now := e.settled(id)
	if now == nil && !c.State.Running {
		return c.State.ExitCode, nil
	}
	return 0, err
}

// Pause freezes all processes of a running container.
func (e *Engine) Pause(ref string) error {
	return e.switchPause(ref, func(c *Container) error {
		switch {
		case !c.State.Running:
			return conflictf("Container %s is not running", c.ID)
		case c.State.Paused:
			return conflictf("Container %s is already paused", c.ID)
		}
		rc, err := e.Runtime.Open(c.ID)
		if err == nil {
			err = rc.Pause()
		}
		c.State.Paused = err == nil
		return err
	})
}

// Unpause lets them go on.
func (e *Engine) Unpause(ref string) error {
	return e.switchPause(ref, func(c *Container) error {
		if !c.State.Paused {
			return conflictf("Container %s is not paused", c.ID)
		}
		rc, err := e.Runtime.Open(c.ID)
		if err == nil {
			err = rc.Resume()
		}
		c.State.Paused = err != nil
		return err
	})
}

func (e *Engine) switchPause(ref string, fn func(*Container) error) error {
	c, err := e.Inspect(ref)
	if err != nil {
		return err
	}
	_, err = e.Change(c.ID, fn)
	return err
}

// Rename gives a container another name.
func (e *Engine) Rename(ref, name string) error {
	c, err := e.Inspect(ref)
	if err != nil {
		return err
	}
	old := c.PlainName()
	if name == old {
		return invalidf("Renaming a container with the same name as its current name")
	}
	if err := e.claimName(name, c.ID); err != nil {
		return err
	}
	_, err = e.Change(c.ID, func(c *Container) error {
		c.Name = "/" + name
		return e.renameEndpoints(c)
	})
	if err != nil {
		return errors.Join(err, e.dropName(name, c.ID))
	}
	return e.dropName(old, c.ID)
}
