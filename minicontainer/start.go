package minicontainer

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// Start runs a container that does not run, and joins the caller to its
// streams. The session is the caller's to wait on or to close; it is nil for a
// container that runs already.
func (e *Engine) Start(ref string, streams *Streams) (*Session, error) {
	for {
		c, err := e.Inspect(ref)
		if err != nil {
			return nil, err
		}
		switch {
		case c.State.Paused:
			return nil, conflictf("cannot start a paused container, try unpause instead")
		case c.State.RemovalInProgress || c.State.Dead:
			return nil, conflictf("container is marked for removal and cannot be started")
		case c.State.Running && streams != nil:
			return e.Attach(c.ID, streams)
		case c.State.Running:
			return nil, nil
		}
		s, err := e.startShim(c.ID, streams)
		if err != nil {
			return nil, err
		}
		if err = s.started(); err == nil {
			return s, nil
		}
		s.Close()
		if !errors.Is(err, ErrRunsAlready) {
			return nil, err
		}
		if err := e.awaitOther(c.ID); err != nil {
			return nil, err
		}
	}
}

// awaitOther waits while a shim has the container and the record does not say
// that it runs. Somebody was faster, and it has begun: that it will run is not
// known yet. Or it has ended, and is about to leave: then it is our turn.
func (e *Engine) awaitOther(id string) error {
	for e.ShimAlive(id) {
		c, err := e.load(id)
		if err != nil || c.State.Running {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

// Run is Create and Start.
func (e *Engine) Run(o Options, streams *Streams) (*Container, *Session, error) {
	o.StartsNext = true
	c, err := e.Create(o)
	if err != nil {
		return nil, nil, err
	}
	s, err := e.Start(c.ID, streams)
	return c, s, err
}

// ErrRunsAlready is what a second shim for one container says.
var ErrRunsAlready = errors.New("container is running already")

// codeRunsAlready stands for it in a StartError, whose text crosses a socket.
const codeRunsAlready = int(unix.EALREADY) << 8

// Is lets errors.Is find ErrRunsAlready.
func (e *StartError) Is(target error) bool {
	return target == ErrRunsAlready && e.Code == codeRunsAlready
}

// RunsAlready is the reply of the second shim.
func RunsAlready() Reply { return Reply{Error: ErrRunsAlready.Error(), Code: codeRunsAlready} }
