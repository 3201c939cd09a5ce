package minicontainer

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Session is a client's hold on something that a shim runs for it: the
// container's own process or one of exec.
type Session struct {
	ID     string // the container's
	line   *Line
	broken string // see Reply
}

// ask sends a request with the caller's streams.
func (s *Session) ask(r Request, streams *Streams) error {
	letters, files := streams.files()
	r.Files = letters
	return s.line.Send(r, files...)
}

// started waits for the first answer.
func (s *Session) started() error {
	for {
		var r Reply
		if _, err := s.line.Receive(&r); err != nil {
			return fmt.Errorf("container %s: its shim ended before it answered: %w", ShortID(s.ID), err)
		}
		switch {
		case r.Error != "":
			return &StartError{Reason: r.Error, Code: r.Code}
		case r.Broken == "":
			return nil
		}
		s.broken = r.Broken // the program was quicker than the answer
	}
}

// ErrShimGone says that the shim was killed: the exit code is not known.
var ErrShimGone = errors.New("the container's shim is gone; its exit code is lost with it")

// Wait waits for the end and gives the exit code, 128+n for signal n. When nobody
// reads the caller's output any more it does not go on waiting, as in `run IMAGE
// yes | head`: the error is EPIPE, and the container runs on.
func (s *Session) Wait() (int, error) {
	for {
		if s.broken != "" {
			return 1, &os.PathError{Op: "write", Path: "/dev/" + s.broken, Err: unix.EPIPE}
		}
		var r Reply
		if _, err := s.line.Receive(&r); err != nil {
			return 137, fmt.Errorf("container %s: %w", ShortID(s.ID), ErrShimGone)
		}
		if r.Error != "" {
			return r.Code, &StartError{Reason: r.Error, Code: r.Code}
		}
		if r.Exited {
			return r.Code, nil
		}
		s.broken = r.Broken
	}
}

// Resize tells the size of the caller's terminal.
func (s *Session) Resize(size Size) error { return s.line.Send(Request{Size: &size}) }

// Close detaches: what runs goes on.
func (s *Session) Close() error { return s.line.Close() }
