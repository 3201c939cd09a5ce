package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"cutaway/minicontainer"
)

// version is the API version that the paths begin with; it may be left out.
const version = "/v1.41"

// Server answers requests with an engine.
type Server struct {
	engine Local
	http   http.Server
}

// NewServer makes the daemon's answers; the engine stays the caller's.
func NewServer(e *minicontainer.Engine) *Server {
	s := &Server{engine: Local{e}}
	mux := http.NewServeMux()
	for pattern, answer := range s.routes() {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := answer(w, r); err != nil {
				status, f := describe(err)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				json.NewEncoder(w).Encode(f)
			}
		})
	}
	all := http.NewServeMux()
	all.Handle(version+"/", http.StripPrefix(version, mux))
	all.Handle("/", mux)
	s.http.Handler = all
	return s
}

// Listen opens the socket. One that a dead daemon has left is replaced; one that
// somebody answers on is not.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return nil, err
	}
	if answers(path) {
		return nil, fmt.Errorf("a daemon answers on %s already: stop it first, or use another --socket", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	// Who can write to the socket is root on this machine.
	return l, os.Chmod(path, 0o660)
}

// answers asks, for that a connection is made says little: a child that a dead
// daemon was about to start may still hold its socket, until it becomes another
// program. A daemon that hangs is one.
func answers(path string) bool {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(conn, "GET /_ping HTTP/1.0\r\n\r\n")
	n, err := conn.Read(make([]byte, 1))
	return n > 0 || errors.Is(err, os.ErrDeadlineExceeded)
}

// Serve answers until ctx ends. Containers are not touched by that.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { s.http.Close() })
	defer stop()
	if err := s.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func send(w http.ResponseWriter, v any, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// done answers a request that has no answer.
func done(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func body[T any](r *http.Request) (v T, err error) {
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
		return v, &minicontainer.Invalid{Reason: "request body: " + err.Error()}
	}
	return v, nil
}
