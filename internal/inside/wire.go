package inside

import (
	"encoding/json"
	"errors"
	"syscall"
)

// request is what the caller writes: a call, or the wish to cancel an earlier one.
type request struct {
	ID     uint64          `json:"id"`
	Name   string          `json:"name,omitempty"`
	Args   json.RawMessage `json:"args,omitempty"`
	Cancel bool            `json:"cancel,omitempty"`
}

// reply is what the helper writes. With id 0 it is not an answer to a call: the
// usher reports the pid of the helper it made, the helper says hello.
type reply struct {
	ID     uint64          `json:"id"`
	Result json.RawMessage `json:"result,omitempty"`
	Err    *RemoteError    `json:"err,omitempty"`
	Pid    int             `json:"pid,omitempty"`
	Hello  bool            `json:"hello,omitempty"`
}

// RemoteError is an error that a helper returned: the whole text, and every errno
// that was in its tree, so that errors.Is(err, unix.EPERM) holds on this side too.
type RemoteError struct {
	Text   string          `json:"text"`
	Errnos []syscall.Errno `json:"errnos,omitempty"`
}

// Error gives the text as the helper wrote it.
func (e *RemoteError) Error() string { return e.Text }

// Unwrap gives the errnos to errors.Is and errors.As.
func (e *RemoteError) Unwrap() []error {
	var list []error
	for _, errno := range e.Errnos {
		list = append(list, errno)
	}
	return list
}

// remote makes err fit for the wire.
func remote(err error) *RemoteError {
	return &RemoteError{Text: err.Error(), Errnos: errnos(err)}
}

// errnos walks the tree of err, including joined errors, which errors.As would
// leave at the first find.
func errnos(err error) []syscall.Errno {
	if errno, ok := err.(syscall.Errno); ok {
		return []syscall.Errno{errno}
	}
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		var all []syscall.Errno
		for _, sub := range e.Unwrap() {
			all = append(all, errnos(sub)...)
		}
		return all
	default:
		if sub := errors.Unwrap(err); sub != nil {
			return errnos(sub)
		}
	}
	return nil
}
