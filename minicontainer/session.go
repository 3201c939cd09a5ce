package minicontainer

import (
	"errors"
	"fmt"
)

// Session is a client's hold on something that a shim runs for it: the
// container's own process or one of exec.
type Session struct {
	ID   string // the container's
	line *Line
}

// ask sends a request with the caller's streams.
func (s *Session) ask(r Request, streams *Streams) error {
	letters, files := streams.files()
	r.Files = letters
	return s.line.Send(r, files...)
}

// started waits for the first answer.
func (s *Session) started() error {
	var r Reply
	if _, err := s.line.Receive(&r); err != nil {
		return fmt.Errorf("container %s: its shim ended before it answered: %w", ShortID(s.ID), err)
	}
	if r.Error != "" {
		return &StartError{Reason: r.Error, Code: r.Code}
	}
	return nil
}

// ErrShimGone says that the shim was killed: the exit code is not known.
var ErrShimGone = errors.New("the container's shim is gone; its exit code is lost with it")

// Wait waits for the end and gives the exit code, 128+n for signal n.
func (s *Session) Wait() (int, error) {
	for {
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
	}
}

// Resize tells the size of the caller's terminal.
func (s *Session) Resize(size Size) error { return s.line.Send(Request{Size: &size}) }

// Close detaches: what runs goes on.
func (s *Session) Close() error { return s.line.Close() }
