package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"

	"cutaway/minicontainer"
)

// Start starts a container and joins its streams to the caller's, by way of the
// daemon.
func (c *Client) Start(ref string, s *minicontainer.Streams) (Process, error) {
	return c.join(on(ref, "/start", streamQuery(s)...), nil, s)
}

// Attach joins a running container's streams to the caller's.
func (c *Client) Attach(ref string, s *minicontainer.Streams) (Process, error) {
	return c.join(on(ref, "/attach", streamQuery(s)...), nil, s)
}

// Exec starts one more process in a container.
func (c *Client) Exec(ref string, o minicontainer.ExecOptions, s *minicontainer.Streams) (Process, error) {
	r := execRequest{ExecOptions: o}
	if s != nil {
		r.In, r.Out, r.Err = s.In != nil, s.Out != nil, s.Err != nil
	}
	return c.join(on(ref, "/exec"), r, s)
}

func streamQuery(s *minicontainer.Streams) []string {
	if s == nil {
		return nil
	}
	is := strconv.FormatBool
	return []string{"in", is(s.In != nil), "out", is(s.Out != nil), "err", is(s.Err != nil)}
}

// join sends the request on a connection of its own, which becomes the stream.
func (c *Client) join(path string, content any, s *minicontainer.Streams) (Process, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest("POST", "http://cutaway"+version+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "tcp")
	conn, err := c.dial(context.Background())
	if err != nil {
		return nil, err
	}
	if err := request.Write(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	in := bufio.NewReader(conn)
	r, err := http.ReadResponse(in, request)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	switch {
	case r.StatusCode == http.StatusSwitchingProtocols:
		return newRemote(conn, in, s)
	case r.StatusCode >= 300:
		err = failureOf(r)
		conn.Close()
		return nil, err
	}
	return gone{}, conn.Close() // nothing to be joined to
}

// gone is a process that was let go at once.
type gone struct{}

func (gone) Wait() (int, error)              { return 0, nil }
func (gone) Resize(minicontainer.Size) error { return nil }
func (gone) Close() error                    { return nil }

// remote is a process behind the daemon.
type remote struct {
	conn net.Conn
	f    *frames
	out  [2]*os.File
}

// newRemote keeps copies of the caller's files, who closes his own once they are
// handed over, as he would to a shim.
func newRemote(conn net.Conn, in io.Reader, s *minicontainer.Streams) (Process, error) {
	p := &remote{conn: conn, f: &frames{r: in, w: conn}}
	for i, file := range []*os.File{s.Out, s.Err} {
		copied, err := duplicate(file)
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		p.out[i] = copied
	}
	input, err := duplicate(s.In)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if input != nil {
		go func() {
			p.f.copyAs(frameIn, input)
			p.f.write(frameIn, nil)
			input.Close()
		}()
	}
	return p, nil
}

// Wait hands out what comes until the end.
func (p *remote) Wait() (int, error) {
	defer closeAll(p.out[:]...)
	end, err := receive(p.f, sink(p.out[0]), sink(p.out[1]))
	if err != nil {
		return 125, err
	}
	if end.Error != "" {
		err = errors.New(end.Error)
	}
	return end.Code, err
}

// sink is a file, or nothing.
func sink(f *os.File) io.Writer {
	if f == nil {
		return io.Discard
	}
	return f
}

// Resize tells the size of the caller's terminal.
func (p *remote) Resize(size minicontainer.Size) error { return p.f.writeJSON(frameSize, size) }

// Close detaches.
func (p *remote) Close() error { return p.conn.Close() }
