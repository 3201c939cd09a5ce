package minicontainer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer/launch"
)

func (e *Engine) shimDir(id string) string { return filepath.Join(e.run, "shim", id) }

// startShim starts a shim for the container and tells it what to do.
func (e *Engine) startShim(id string, streams *Streams) (*Session, error) {
	near := e.early.take(id)
	if near == nil {
		var err error
		if near, err = e.spawnShim(id); err != nil {
			return nil, err
		}
	}
	s := &Session{ID: id, line: near}
	if err := s.ask(Request{Attach: &AttachRequest{Start: true}}, streams); err != nil {
		return nil, errors.Join(err, near.Close())
	}
	return s, nil
}

// spawnShim starts the process, which waits at the other end of the line.
func (e *Engine) spawnShim(id string) (*Line, error) {
	near, err := launch.Shim(id)
	if err != nil {
		return nil, err
	}
	return e.introduce(near)
}

// introduce tells a shim where its engine is: the first message on its line.
func (e *Engine) introduce(near *os.File) (*Line, error) {
	line, err := LineFrom(near)
	if err != nil {
		return nil, err
	}
	if err := line.Send(e.settings); err != nil {
		return nil, errors.Join(fmt.Errorf("tell a shim where its engine is: %w", err), line.Close())
	}
	return line, nil
}

// ShimLock takes the lock that says "this container has a shim". It is held as
// long as the file is open, and can be asked for without taking it (fcntl(2),
// F_OFD_SETLK and F_OFD_GETLK), so that those who ask do not disturb.
func (e *Engine) ShimLock(id string) (*os.File, error) {
	if err := os.MkdirAll(e.shimDir(id), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(e.shimDir(id)+"/lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
		f.Close()
		return nil, fmt.Errorf("container %s has a shim already: %w", ShortID(id), err)
	}
	return f, nil
}

// ShimAlive says whether somebody holds the lock.
func (e *Engine) ShimAlive(id string) bool {
	f, err := os.OpenFile(e.shimDir(id)+"/lock", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock)
	return err == nil && lock.Type != unix.F_UNLCK
}

// call connects to a container's shim.
func (e *Engine) call(id string) (*Session, error) {
	line, err := dialLine(e.shimDir(id) + "/socket")
	if err != nil {
		return nil, fmt.Errorf("container %s: connect to its shim: %w", ShortID(id), err)
	}
	return &Session{ID: id, line: line}, nil
}

// ShimSocketDir is where the shim listens, by the name "socket".
func (e *Engine) ShimSocketDir(id string) string { return e.shimDir(id) }
