package userland

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// runHttpd serves a folder over HTTP, with the options of busybox's httpd. It
// stays in the foreground, which is where a container's process belongs.
func runHttpd(c *call) error {
	f := c.flags()
	f.BoolP("foreground", "f", true, "stay in the foreground (always so)")
	address := f.StringP("port", "p", "80", "[ADDRESS:]PORT to listen on")
	home := f.StringP("home", "h", ".", "folder to serve")
	verbose := f.BoolP("verbose", "v", false, "a line on standard error for each request")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	if !strings.Contains(*address, ":") {
		*address = ":" + *address
	}
	root, err := os.OpenRoot(*home) // no link in it leads out
	if err != nil {
		return err
	}
	defer root.Close()
	l, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	// Process 1 has no default actions: without a handler, `stop` would wait in
	// vain for this server.
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	server := &http.Server{Handler: c.logged(http.FileServerFS(root.FS()), *verbose), ReadHeaderTimeout: time.Minute}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// logged writes a line for each request if asked to.
func (c *call) logged(next http.Handler, verbose bool) http.Handler {
	if !verbose {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(c.err, "%s %s %s\n", r.RemoteAddr, r.Method, r.URL.Path)
		next.ServeHTTP(w, r)
	})
}
