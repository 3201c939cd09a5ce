package dmthin

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Wait returns when the device's event number is above seen, with its state then.
//
// The plain way, ioctl DM_DEV_WAIT, sleeps in the kernel until an event or a signal
// comes, and no context can end that. So the control file is armed (ioctl
// DM_DEV_ARM_POLL, Linux 4.13) and polled beside a pipe that the context closes.
// Armed first, asked after: an event in between is seen by one of the two.
func (c *Control) Wait(ctx context.Context, name string, seen uint32) (Info, error) {
	// A file of its own: what is armed belongs to the open file, and others may wait, too.
	own, err := os.OpenFile(c.file.Name(), os.O_RDWR, 0)
	if err != nil {
		return Info{}, &Error{Verb: "wait", Device: name, Err: err}
	}
	w := &Control{file: own}
	defer w.Close()
	r, cancel, err := os.Pipe()
	if err != nil {
		return Info{}, &Error{Verb: "wait", Device: name, Err: err}
	}
	defer r.Close()
	defer cancel.Close() // a second time is harmless
	defer context.AfterFunc(ctx, func() { cancel.Close() })()
	for {
		if _, err := w.call("wait", unix.DM_DEV_ARM_POLL, request{}); err != nil {
			return Info{}, err
		}
		info, err := w.Info(name)
		if err != nil || info.Event > seen {
			return info, err
		}
		if err := ctx.Err(); err != nil {
			return info, &Error{Verb: "wait", Device: name, Err: err}
		}
		if err := pollBoth(own, r); err != nil {
			return info, &Error{Verb: "wait", Device: name, Err: err}
		}
	}
}

// pollBoth waits for either file (poll(2)).
func pollBoth(a, b *os.File) error {
	fds := []unix.PollFd{{Fd: int32(a.Fd()), Events: unix.POLLIN}, {Fd: int32(b.Fd()), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
