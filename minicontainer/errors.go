package minicontainer

import (
	"errors"
	"fmt"
)

// NotFound says that no container has that name or id.
type NotFound struct{ Ref string }

func (e *NotFound) Error() string { return "No such container: " + e.Ref }

// Conflict says that a container's state, or a name that is taken, stands
// against what was asked for.
type Conflict struct{ Reason string }

func (e *Conflict) Error() string { return e.Reason }

func conflictf(format string, args ...any) error { return &Conflict{fmt.Sprintf(format, args...)} }

// Invalid says that what was asked for makes no sense.
type Invalid struct{ Reason string }

func (e *Invalid) Error() string { return e.Reason }

// NewInvalid is for what a command line asks for, in Docker's words.
func NewInvalid(reason string) error { return &Invalid{reason} }

func invalidf(format string, args ...any) error { return &Invalid{fmt.Sprintf(format, args...)} }

// StartError is a container that could not be started. Code is what Docker's
// client exits with: 127 when there is no such program, 126 when it cannot be
// executed, else 125.
type StartError struct {
	Reason string
	Code   int
}

func (e *StartError) Error() string { return e.Reason }

// ExitCode is the code for an error of run, start or exec.
func ExitCode(err error) int {
	var start *StartError
	if errors.As(err, &start) {
		return start.Code
	}
	return 125
}
