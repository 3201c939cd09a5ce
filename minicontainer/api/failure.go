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

// kind is one of the errors that have a meaning beyond their text.
type kind struct {
	name   string
	status int // of HTTP
	is     func(error) bool
	make   func(text string) error // one of the same kind again
}

// kinds are all of them but StartError, which has a code too.
var kinds = []kind{
	{"no container", http.StatusNotFound, is[*minicontainer.NotFound], func(text string) error { return &minicontainer.NotFound{Ref: text} }},
	{"no image", http.StatusNotFound, is[*minicontainer.NoImage], func(text string) error { return &minicontainer.NoImage{Ref: text, Err: fs.ErrNotExist} }},
	{"no network", http.StatusNotFound, is[*minicontainer.NotFoundNetwork], func(text string) error { return &minicontainer.NotFoundNetwork{Ref: text} }},
	{"no path", http.StatusNotFound, is[*minicontainer.NoPath], func(text string) error { return &minicontainer.NoPath{Path: text, Err: fs.ErrNotExist} }},
	{"conflict", http.StatusConflict, is[*minicontainer.Conflict], func(text string) error { return &minicontainer.Conflict{Reason: text} }},
	{"invalid", http.StatusBadRequest, is[*minicontainer.Invalid], func(text string) error { return &minicontainer.Invalid{Reason: text} }},
}

// kindStart is a container that could not be started.
const kindStart = "start"

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// describe sorts an error and gives its HTTP status.
func describe(err error) (int, failure) {
	f := failure{Message: err.Error()}
	for _, k := range kinds {
		if k.is(err) {
			f.Kind = k.name
			return k.status, f
		}
	}
	var start *minicontainer.StartError
	if errors.As(err, &start) {
		f.Kind, f.Code = kindStart, start.Code
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
	if f.Kind == kindStart {
		return &minicontainer.StartError{Reason: f.Message, Code: f.Code}
	}
	s := &said{text: f.Message}
	for _, k := range kinds {
		if k.name == f.Kind {
			s.cause = k.make(f.Message)
		}
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
