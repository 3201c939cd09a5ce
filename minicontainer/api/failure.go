package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"cutaway/minicontainer"
)

// failure is an error on its way through the socket: enough of it that the
// command line can tell the kinds apart that it has to.
type failure struct {
	Message string `json:"message"`
	Kind    string `json:"kind,omitempty"`
	Code    int    `json:"code,omitempty"` // of a start that failed
}

// kinds of errors that have a meaning beyond their text.
const (
	kindNoContainer = "no container"
	kindNoImage     = "no image"
	kindNoNetwork   = "no network"
	kindNoPath      = "no path"
	kindConflict    = "conflict"
	kindInvalid     = "invalid"
	kindStart       = "start"
)

// describe sorts an error and gives its HTTP status.
func describe(err error) (int, failure) {
	f := failure{Message: err.Error()}
	var (
		container *minicontainer.NotFound
		image     *minicontainer.NoImage
		network   *minicontainer.NotFoundNetwork
		path      *minicontainer.NoPath
		conflict  *minicontainer.Conflict
		invalid   *minicontainer.Invalid
		start     *minicontainer.StartError
	)
	switch {
	case errors.As(err, &container):
		f.Kind = kindNoContainer
		return http.StatusNotFound, f
	case errors.As(err, &image):
		f.Kind = kindNoImage
		return http.StatusNotFound, f
	case errors.As(err, &network):
		f.Kind = kindNoNetwork
		return http.StatusNotFound, f
	case errors.As(err, &path):
		f.Kind = kindNoPath
		return http.StatusNotFound, f
	case errors.As(err, &conflict):
		f.Kind = kindConflict
		return http.StatusConflict, f
	case errors.As(err, &invalid):
		f.Kind = kindInvalid
		return http.StatusBadRequest, f
	case errors.As(err, &start):
		f.Kind, f.Code = kindStart, start.Code
		return http.StatusInternalServerError, f
	}
	return http.StatusInternalServerError, f
}

// said is an error in the daemon's words, of the kind that it was there.
type said struct {
	text  string
	cause error
}

func (s *said) Error() string { return s.text }

func (s *said) Unwrap() error { return s.cause }

// restore makes an error of the same kind again.
func (f failure) restore() error {
	s := &said{text: f.Message}
	switch f.Kind {
	case kindNoContainer:
		s.cause = &minicontainer.NotFound{Ref: f.Message}
	case kindNoImage:
		s.cause = &minicontainer.NoImage{Ref: f.Message, Err: fs.ErrNotExist}
	case kindNoNetwork:
		s.cause = &minicontainer.NotFoundNetwork{Ref: f.Message}
	case kindNoPath:
		s.cause = &minicontainer.NoPath{Path: f.Message, Err: fs.ErrNotExist}
	case kindConflict:
		s.cause = &minicontainer.Conflict{Reason: f.Message}
	case kindInvalid:
		s.cause = &minicontainer.Invalid{Reason: f.Message}
	case kindStart:
		return &minicontainer.StartError{Reason: f.Message, Code: f.Code}
	}
	return s
}

// failureOf reads a response that is no success.
func failureOf(r *http.Response) error {
	var f failure
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil || f.Message == "" {
		return fmt.Errorf("the daemon answered %s", r.Status)
	}
	return f.restore()
}
