package netdemo

import (
	"encoding/binary"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Capture is an AF_PACKET socket: it sees every frame on a link, or on all links of the namespace, as
// tcpdump does. See packet(7).
type Capture struct {
	file *os.File
	ns   *Namespace
}

// Frame is a captured frame. It was received by the link, or sent by it when Outgoing is set: a frame
// that goes through a host is seen on every link that it passes.
type Frame struct {
	Time     time.Time
	Link     int
	Outgoing bool
	Data     []byte
}

// StartCapture opens the socket in ns and binds it to the link; "" for all links. From then on the
// kernel queues frames (up to the socket's buffer), so nothing that happens after it is missed.
func StartCapture(ns *Namespace, link string) (*Capture, error) {
	index := 0
	if link != "" {
		l, err := LinkByName(ns, link)
		if err != nil {
			return nil, err
		}
		index = l.Index
	}
	// Opened with protocol 0 it hears nothing, until bind names the link: no frame of another
	// link can slip in between.
	var fd int
	err := ns.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return nil, wrap("open packet socket on", link, err)
	}
	address := &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: index}
	if err := unix.Bind(fd, address); err != nil {
		unix.Close(fd)
		return nil, wrap("bind packet socket to", link, err)
	}
	return &Capture{os.NewFile(uintptr(fd), "packet socket"), ns}, nil
}

func networkOrder(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

// Next waits for one frame, up to the time given. os.ErrDeadlineExceeded when none came.
func (c *Capture) Next(wait time.Duration) (Frame, error) {
	c.file.SetReadDeadline(time.Now().Add(wait))
	raw, err := c.file.SyscallConn()
	if err != nil {
		return Frame{}, err
	}
	buf := make([]byte, 65536)
	var n int
	var from unix.Sockaddr
	waitErr := raw.Read(func(fd uintptr) bool {
		n, from, err = unix.Recvfrom(int(fd), buf, 0)
		return err != unix.EAGAIN && err != unix.EINTR
	})
	if err := errors.Join(waitErr, noAgain(err)); err != nil {
		return Frame{}, err
	}
	f := Frame{Time: time.Now(), Data: buf[:n:n]}
	if l, ok := from.(*unix.SockaddrLinklayer); ok {
		f.Link, f.Outgoing = l.Ifindex, l.Pkttype == unix.PACKET_OUTGOING
	}
	return f, nil
}

// noAgain drops the "nothing there yet" of the last try: the deadline says it already.
func noAgain(err error) error {
	if err == unix.EAGAIN || err == unix.EINTR {
		return nil
	}
	return err
}

// Drain returns the frames that have been queued so far, and those that come until none has come for
// the time given.
func (c *Capture) Drain(quiet time.Duration) ([]Frame, error) {
	var all []Frame
	for {
		f, err := c.Next(quiet)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, f)
	}
}

// Close ends the capture.
func (c *Capture) Close() error { return c.file.Close() }
