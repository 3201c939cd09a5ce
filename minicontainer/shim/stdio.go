package shim

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci"
)

// ends are the process's own ends of its standard files, to be closed here once
// it has them.
type ends struct {
	stdio [3]*os.File
	null  *os.File
}

// open makes the pipes, or nothing for a terminal, which the runtime makes.
func (s *streams) open(terminal, wantsInput bool) (*ends, error) {
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	e := &ends{null: null, stdio: [3]*os.File{null, null, null}}
	if terminal {
		return e, nil
	}
	for n := range 3 {
		if n == 0 && !wantsInput {
			continue
		}
		r, w, err := os.Pipe()
		if err != nil {
			return nil, errors.Join(err, e.close())
		}
		if n == 0 {
			e.stdio[0] = r
			s.setInput(w, nil)
			continue
		}
		e.stdio[n] = w
		s.carry(n, r)
	}
	return e, nil
}

// terminal takes the master side that the runtime made. Everything that is
// written to it comes as standard output.
func (s *streams) terminal(t *oci.Terminal, wantsInput bool) error {
	if t == nil {
		return nil
	}
	master, err := t.Master()
	if err != nil {
		return err
	}
	if master, err = pollable(master); err != nil {
		return err
	}
	input := master
	if !wantsInput {
		input = nil
	}
	s.setInput(input, master)
	s.carry(1, master)
	return nil
}

// pollable gives the file to Go's poller, so that closing it ends a read that
// waits in another goroutine.
func pollable(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl O_NONBLOCK", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

func (s *streams) setInput(stdin, master *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stdin, s.master = stdin, master
}

func (e *ends) close() error {
	var err error
	for _, f := range e.stdio {
		if f != e.null {
			err = errors.Join(err, f.Close())
		}
	}
	return errors.Join(err, e.null.Close())
}
