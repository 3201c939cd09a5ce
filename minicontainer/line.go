package minicontainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Line is one end of a connection between a shim and whoever asks something of
// it: a unix socket that keeps messages apart (SOCK_SEQPACKET, unix(7)). A
// message is JSON, and open files may come with it (SCM_RIGHTS): a container's
// output is written to the very file that the client was given, by the shim.
type Line struct{ conn *net.UnixConn }

// maxMessage bounds one message; the kernel's own bound is net.core.wmem_default.
const maxMessage = 192 << 10

// NewLine makes both ends: one for here and one to be inherited.
func NewLine() (*Line, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair AF_UNIX SOCK_SEQPACKET: %w", err)
	}
	far := os.NewFile(uintptr(fds[1]), "line")
	near, err := LineFrom(os.NewFile(uintptr(fds[0]), "line"))
	if err != nil {
		far.Close()
	}
	return near, far, err
}

// LineFrom takes an inherited end; the file is closed.
func LineFrom(f *os.File) (*Line, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return &Line{conn.(*net.UnixConn)}, nil
}

// Listen opens a socket in dir. Its path goes through /proc, for a socket's
// name must fit into 108 bytes and a folder's need not.
func Listen(dir, name string) (*net.UnixListener, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	path := fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), name)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // the path means something else once folder is closed
	return l, nil
}

// Accept takes the next caller.
func Accept(l *net.UnixListener) (*Line, error) {
	conn, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	return &Line{conn}, nil
}

// dialLine connects to the socket at path.
func dialLine(path string) (*Line, error) {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	name := fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path))
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: name, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	return &Line{conn}, nil
}

// Send sends one message with files.
func (l *Line) Send(v any, files ...*os.File) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(text) > maxMessage {
		return invalidf("message of %d bytes for a shim; at most %d fit (a very long command or environment?)", len(text), maxMessage)
	}
	fds, err := numbers(files)
	if err != nil {
		return err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err = l.conn.WriteMsgUnix(text, rights, nil)
	return err
}

// hangUp ends the conversation, waits until the other side has ended it too, and
// closes the line.
func (l *Line) hangUp() {
	l.conn.CloseWrite()
	l.conn.SetReadDeadline(time.Now().Add(5 * time.Second)) // nobody hangs on for ever
	for one := []byte{0}; ; {
		if n, err := l.conn.Read(one); n == 0 || err != nil {
			break
		}
	}
	l.Close()
}

// numbers takes the descriptors without os.File.Fd, which would make the file
// blocking, for all who share it.
func numbers(files []*os.File) ([]int, error) {
	var fds []int
	for _, f := range files {
		raw, err := f.SyscallConn()
		if err != nil {
			return nil, err
		}
		if err := raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) }); err != nil {
			return nil, err
		}
	}
	return fds, nil
}

// Receive waits for one message and takes the files that came with it.
func (l *Line) Receive(v any) ([]*os.File, error) {
	text, control := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*4))
	n, cn, _, _, err := l.conn.ReadMsgUnix(text, control)
	if err != nil {
		return nil, err
	}
	files, err := received(control[:cn])
	if err != nil {
		return nil, err
	}
	if n == 0 { // the other side is gone
		return files, net.ErrClosed
	}
	return files, json.Unmarshal(text[:n], v)
}

func received(control []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

// Close ends the connection.
func (l *Line) Close() error { return l.conn.Close() }
