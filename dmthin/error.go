package dmthin

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// Error says which verb failed, on what.
type Error struct {
	Verb   string // "create", "load", "message", ...
	Device string // name or UUID
	Detail string // the table, the message, ...
	Err    error
}

// Error is "dm load base [0 2048 linear 7:0 0]: invalid argument".
func (e *Error) Error() string {
	text := "dm " + e.Verb
	if e.Device != "" {
		text += " " + e.Device
	}
	if e.Detail != "" {
		text += " [" + e.Detail + "]"
	}
	var errno syscall.Errno
	if errors.As(e.Err, &errno) {
		return text + ": " + e.Err.Error() + " (" + unix.ErrnoName(errno) + ")"
	}
	return text + ": " + e.Err.Error()
}

// Unwrap lets errors.Is find the errno.
func (e *Error) Unwrap() error { return e.Err }

// with adds what was sent to an error of call.
func with(err error, detail string) error {
	var e *Error
	if errors.As(err, &e) && e.Detail == "" {
		e.Detail = detail
	}
	return err
}
