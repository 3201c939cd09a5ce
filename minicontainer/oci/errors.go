package oci

import "errors"

// The errors that callers tell apart, in the words that runc has for them:
// engines recognise them by their text.
var (
	ErrNotExist   = errors.New("container does not exist")
	ErrExist      = errors.New("container with given ID already exists")
	ErrInvalidID  = errors.New("invalid container ID format")
	ErrNotRunning = errors.New("container not running")
	ErrPaused     = errors.New("container paused")
	ErrNotPaused  = errors.New("container not paused")
	ErrRunning    = errors.New("container still running")
)
