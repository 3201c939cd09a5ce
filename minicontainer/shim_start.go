package minicontainer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ShimName is the argv[0] by which package shim knows that this program is to be
// one, ShimStarterName that it is to start one and to end.
const (
	ShimName        = "cutaway-shim"
	ShimStarterName = "cutaway-shim-start"
)

func (e *Engine) shimDir(id string) string { return filepath.Join(e.run, "shim", id) }

// startShim starts a shim for the container; the request is waiting for it on
// its descriptor 3, sent before it is born.
func (e *Engine) startShim(id string, streams *Streams) (*Session, error) {
	near, far, err := NewLine()
	if err != nil {
		return nil, err
	}
	defer far.Close()
	s := &Session{ID: id, line: near}
	if err := s.ask(Request{Attach: &AttachRequest{Start: true}}, streams); err != nil {
		return nil, errors.Join(err, near.Close())
	}
	if err := e.spawnShim(id, far); err != nil {
		return nil, errors.Join(err, near.Close())
	}
	return s, nil
}

// spawnShim starts the process: in a session of its own, so that neither Ctrl-C
// nor a hang-up of the caller's terminal is meant for it. It is a grandchild: its
// parent ends at once and leaves it to process 1, so that a daemon has no children
// who would have to be reaped, or handed over when it is started anew.
func (e *Engine) spawnShim(id string, line *os.File) error {
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	s := e.settings
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{ShimStarterName, id, s.Root, s.RunDir, s.Driver, s.CgroupParent, strings.Join(s.StorageOpts, ",")},
		Env: os.Environ(), Dir: "/", ExtraFiles: []*os.File{line},
		Stdin: null, Stdout: null, Stderr: null,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("start shim: %w", err)
	}
	return nil
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
