package minicontainer

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci"
)

// Stop sends the container's stop signal, waits as long as it may take, and
// kills. seconds nil is the container's own timeout; negative waits for ever. A
// container that does not run is no error.
func (e *Engine) Stop(ref string, seconds *int) error {
	c, err := e.Inspect(ref)
	if err != nil || !c.State.Running {
		return err
	}
	wait := stopTimeout(&c.Config)
	if seconds != nil {
		wait = time.Duration(*seconds) * time.Second
	}
	sig, err := ParseSignal(stopSignal(c))
	if err != nil {
		return err
	}
	ended, err := e.ending(c.ID)
	if err != nil {
		return e.evenIfGone(c.ID, err)
	}
	if err := e.end(c, sig); err != nil {
		return err
	}
	if wait >= 0 {
		select {
		case err := <-ended:
			return e.down(c.ID, err)
		case <-time.After(wait):
		}
		if err := e.end(c, unix.SIGKILL); err != nil {
			return err
		}
	}
	return e.down(c.ID, <-ended)
}

// down waits until a container that is to stay down is so: its shim may have
// decided on another life just before it heard.
func (e *Engine) down(id string, err error) error {
	for err == nil {
		c, now := e.settled(id)
		var gone *NotFound
		if errors.As(now, &gone) {
			return nil
		}
		if now != nil || !c.State.Running || !c.HasBeenManuallyStopped {
			return now
		}
		ended, now := e.ending(id)
		if now != nil {
			return e.evenIfGone(id, now)
		}
		err = <-ended
	}
	return err
}

// evenIfGone forgives that a container could not be talked to when it turns out
// to have ended meanwhile.
func (e *Engine) evenIfGone(id string, err error) error {
	c, now := e.settled(id)
	if now != nil || !c.State.Running {
		return nil
	}
	return err
}

func stopSignal(c *Container) string {
	if c.Config.StopSignal != "" {
		return c.Config.StopSignal
	}
	return "SIGTERM"
}

// end notes that the end is wanted, so that no restart policy works against it,
// and sends the signal. A restart that is only being waited for is called off.
func (e *Engine) end(c *Container, sig unix.Signal) error {
	_, err := e.Change(c.ID, func(c *Container) error {
		c.HasBeenManuallyStopped = true
		return nil
	})
	var gone *NotFound
	if errors.As(err, &gone) { // --rm was faster
		return nil
	}
	if err != nil {
		return err
	}
	if err := e.callOff(c.ID); err != nil {
		return e.evenIfGone(c.ID, err)
	}
	return e.signal(c.ID, sig)
}

func (e *Engine) callOff(id string) error {
	s, err := e.call(id)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.line.Send(Request{CallOff: true})
}

// signal sends one to the container's process; one that has ended is no error.
// A frozen process gets it when it is thawed, so it is.
func (e *Engine) signal(id string, sig unix.Signal) error {
	rc, err := e.Runtime.Open(id)
	if err == nil {
		err = rc.Kill(sig)
	}
	if errors.Is(err, oci.ErrNotExist) || errors.Is(err, oci.ErrNotRunning) {
		return nil
	}
	return err
}

// ending asks the shim to tell when the container has ended.
func (e *Engine) ending(id string) (<-chan error, error) {
	s, err := e.call(id)
	if err != nil {
		return nil, err
	}
	if err := s.line.Send(Request{Wait: true}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	ended := make(chan error, 1)
	go func() {
		_, err := s.Wait()
		if errors.Is(err, ErrShimGone) {
			_, err = e.settled(id)
			var gone *NotFound
			if errors.As(err, &gone) {
				err = nil
			}
		}
		ended <- errors.Join(err, s.Close())
	}()
	return ended, nil
}

// Kill sends a signal to a running container's process. SIGKILL is waited for.
func (e *Engine) Kill(ref string, sig unix.Signal) error {
	c, err := e.Inspect(ref)
	if err != nil {
		return err
	}
	if !c.State.Running {
		return conflictf("Cannot kill container: %s: Container %s is not running", ref, c.ID)
	}
	stop, _ := ParseSignal(stopSignal(c))
	if sig != unix.SIGKILL && sig != stop {
		return e.signal(c.ID, sig)
	}
	ended, err := e.ending(c.ID)
	if err != nil {
		return e.evenIfGone(c.ID, err)
	}
	if err := e.end(c, sig); err != nil || sig != unix.SIGKILL {
		return err
	}
	select {
	case err = <-ended:
		return e.down(c.ID, err)
	case <-time.After(10 * time.Second):
	}
	return nil
}

// Restart stops a container and starts it again.
func (e *Engine) Restart(ref string, seconds *int) error {
	c, err := e.Inspect(ref)
	if err != nil {
		return err
	}
	if err := e.Stop(c.ID, seconds); err != nil {
		return err
	}
	s, err := e.Start(c.ID, nil)
	if s != nil {
		s.Close()
	}
	return err
}

// ParseSignal takes a number or a name, with SIG or without, in any case.
func ParseSignal(word string) (unix.Signal, error) {
	if n, err := strconv.Atoi(word); err == nil && n >= 1 && n <= 64 {
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(word)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	return 0, invalidf("Invalid signal: %s", word)
}
