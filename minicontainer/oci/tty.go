package oci

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Terminal joins this process's own terminal to a container's, for run and exec
// in front: what is typed goes in, what is printed comes out.
type Terminal struct {
	near   *os.File // the master side arrives here
	master *os.File
	saved  *unix.Termios
	done   chan struct{}
}

// newTerminal makes the socket on which the master side will arrive.
func newTerminal() (*os.File, *Terminal, error) {
	near, far, err := newWire()
	if err != nil {
		return nil, nil, err
	}
	return far.f, &Terminal{near: near.f, done: make(chan struct{})}, nil
}

// Master takes the master side, for a caller who does the copying itself.
func (t *Terminal) Master() (*os.File, error) {
	defer t.near.Close()
	return receiveMaster(t.near)
}

// Attach takes the master side, makes this terminal raw, so that Ctrl-C reaches
// the container as a byte, and copies both ways.
func (t *Terminal) Attach(in, out *os.File) error {
	master, err := receiveMaster(t.near)
	if err != nil {
		return err
	}
	t.master = master
	if saved, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS); err == nil {
		t.saved = saved
		if err := makeRaw(in, *saved); err != nil {
			return err
		}
		t.followSize(in)
	}
	go io.Copy(master, in)
	go func() {
		io.Copy(out, master) // ends with EIO when the last slave is closed
		close(t.done)
	}()
	return nil
}

// followSize copies the window size now and at each change.
func (t *Terminal) followSize(in *os.File) {
	resize := func() {
		if ws, err := unix.IoctlGetWinsize(int(in.Fd()), unix.TIOCGWINSZ); err == nil {
			unix.IoctlSetWinsize(int(t.master.Fd()), unix.TIOCSWINSZ, ws)
		}
	}
	resize()
	changes := make(chan os.Signal, 1)
	signal.Notify(changes, unix.SIGWINCH)
	go func() {
		for range changes {
			resize()
		}
	}()
}

// Close waits for the rest of the output and puts this terminal back.
func (t *Terminal) Close(in *os.File) error {
	defer t.near.Close()
	if t.master == nil {
		return nil
	}
	<-t.done
	t.master.Close()
	if t.saved == nil {
		return nil
	}
	return unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, t.saved)
}

// receiveMaster takes one descriptor from a socket (unix(7), SCM_RIGHTS).
func receiveMaster(socket *os.File) (*os.File, error) {
	name, control := make([]byte, unix.PathMax), make([]byte, unix.CmsgSpace(4))
	n, cn, _, _, err := unix.Recvmsg(int(socket.Fd()), name, control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("receive the terminal: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:cn])
	if err != nil || len(messages) != 1 {
		return nil, errors.New("receive the terminal: no descriptor came with the message")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.New("receive the terminal: not exactly one descriptor came")
	}
	return os.NewFile(uintptr(fds[0]), string(name[:n])), nil
}

// makeRaw switches line editing, echo and signals off, as cfmakeraw(3) does.
func makeRaw(f *os.File, t unix.Termios) error {
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &t); err != nil {
		return fmt.Errorf("ioctl TCSETS raw: %w", err)
	}
	return nil
}
