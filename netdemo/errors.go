package netdemo

import (
	"errors"
	"fmt"
)

// The conditions that a caller may want to tell apart with errors.Is.
var (
	ErrNotNamespace  = errors.New("not a namespace file")
	ErrPoolExhausted = errors.New("every address of the subnet is taken")
	ErrOverlap       = errors.New("subnet overlaps with one that is in use")
	ErrAddressInUse  = errors.New("address is taken")
	ErrPortInUse     = errors.New("port is already in use")
	ErrNameTaken     = errors.New("name is taken")
	ErrNotFound      = errors.New("no such object")
	ErrInUse         = errors.New("still in use")
	ErrBridgeGone    = errors.New("the network's bridge was deleted by someone else")
	ErrInvalid       = errors.New("not valid")
)

// Error says which operation failed on what. Err is the errno from the kernel or one of the
// conditions above, so errors.Is(err, unix.EEXIST) and errors.Is(err, ErrPortInUse) work.
type Error struct {
	Op      string // the verb: "create bridge", "add route"
	Subject string // what it was done to, with all arguments
	Err     error
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Subject, e.Err) }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

func wrap(op, subject string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Subject: subject, Err: err}
}

// undo collects what must be taken back when a later act fails; run does it in reverse order.
type undo struct{ acts []func() error }

func (u *undo) add(act func() error) { u.acts = append(u.acts, act) }

func (u *undo) run() error {
	var errs []error
	for i := len(u.acts) - 1; i >= 0; i-- {
		errs = append(errs, u.acts[i]())
	}
	return errors.Join(errs...)
}
