package minicontainer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
)

// newDaemon serves an engine on a socket and gives the way to it, and the end of it.
func newDaemon(t *testing.T, e *minicontainer.Engine) (api.Backend, func()) {
	t.Helper()
	socket := e.Settings().RunDir + "/api.sock"
	l, err := api.Listen(socket)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- api.NewServer(e).Serve(ctx, l) }()
	b, err := api.Dial("unix://" + socket)
	must(t, err)
	stop := func() {
		cancel()
		must(t, <-served)
		b.Close()
	}
	return b, stop
}

func TestDaemonCarriesStreamsAndCodes(t *testing.T) {
	e := newEngine(t)
	b, stop := newDaemon(t, e)
	defer stop()
	o := box("behind", "sh", "-c", "cat; echo err >&2; exit 6")
	o.Config.OpenStdin, o.Config.StdinOnce = true, true
	c, err := b.Create(o)
	must(t, err)
	in, feed, err := os.Pipe()
	must(t, err)
	out, w, err := os.Pipe()
	must(t, err)
	p, err := b.Start(c.ID, &minicontainer.Streams{In: in, Out: w})
	must(t, err)
	in.Close()
	w.Close()
	io.WriteString(feed, "through two sockets\n")
	feed.Close()
	code, err := p.Wait()
	must(t, err)
	must(t, p.Close())
	text, err := io.ReadAll(out)
	must(t, err)
	if string(text) != "through two sockets\n" || code != 6 {
		t.Errorf("wrote %q, code %d; want what was fed, 6", text, code)
	}
	var logs, errs bytes.Buffer
	must(t, b.Logs(context.Background(), c.ID, minicontainer.LogOptions{Tail: -1}, &logs, &errs))
	if logs.String() != string(text) || errs.String() != "err\n" {
		t.Errorf("logs = %q, %q; want what it wrote", logs.String(), errs.String())
	}
	_, err = b.Inspect("nobody")
	if gone := (*minicontainer.NotFound)(nil); !errors.As(err, &gone) {
		t.Errorf("Inspect(nobody) = %v; want a NotFound on this side too", err)
	}
}

func TestNoContainerNoticesTheDaemonsDeath(t *testing.T) {
	e := newEngine(t)
	b, stop := newDaemon(t, e)
	c, err := b.Create(box("survivor", "sleep", "1000"))
	must(t, err)
	_, err = b.Start(c.ID, nil)
	must(t, err)
	stop()
	if _, err := b.Inspect(c.ID); err == nil {
		t.Error("a daemon that was stopped answers")
	}
	b, stop = newDaemon(t, e)
	defer stop()
	c, err = b.Inspect(c.ID)
	must(t, err)
	if c.State.Status() != "running" {
		t.Errorf("status after the daemon's death = %s; want running", c.State.Status())
	}
	must(t, b.Remove(c.ID, minicontainer.RemoveOptions{Force: true}))
}
