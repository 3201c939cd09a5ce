package oci

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// checkTerminal: a terminal needs somebody who holds its master side.
func (o *Options) checkTerminal(terminal bool) error {
	switch {
	case terminal && o.ConsoleSocket == "" && !o.Front:
		return errors.New("cannot allocate tty if the runtime will detach without setting console socket")
	case (!terminal || o.Front) && o.ConsoleSocket != "":
		return errors.New("cannot use console socket if the runtime will not detach or allocate tty")
	}
	return nil
}

// openConsole opens the socket on which init sends the terminal's master side.
func (m *making) openConsole() error {
	var err error
	m.console, m.Terminal, err = m.opts.openConsole(m.Spec.Process.Terminal)
	return err
}

// openConsole gives the far end of the caller's own Terminal, or a connection
// to who was named to take the master side.
func (o *Options) openConsole(terminal bool) (*os.File, *Terminal, error) {
	switch {
	case !terminal:
		return nil, nil, nil
	case o.Front:
		return newTerminal()
	}
	f, err := dialSocket("console socket", o.ConsoleSocket)
	return f, nil, err
}

// dialSocket connects to the unix socket of somebody who was named.
func dialSocket(what, path string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("connect to %s %s: %w", what, path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}
