package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Client asks a daemon.
type Client struct {
	path string // of the socket
	http http.Client
}

// Dial finds the daemon at unix:///PATH.
func Dial(host string) (Backend, error) {
	path, is := strings.CutPrefix(host, "unix://")
	if !is || path == "" {
		return nil, fmt.Errorf("host %q: want unix:///PATH", host)
	}
	c := &Client{path: path}
	c.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) }}
	return c, nil
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.path)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the daemon at unix://%s: is it running (cutaway daemon)? Without --host none is needed: %w", c.path, err)
	}
	return conn, nil
}

// Close lets connections go.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// do sends a request and gives the response of a success.
func (c *Client) do(ctx context.Context, method, path string, content io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://cutaway"+version+path, content)
	if err != nil {
		return nil, err
	}
	r, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if r.StatusCode >= 300 {
		defer r.Body.Close()
		return nil, failureOf(r)
	}
	return r, nil
}

// send is do with JSON; nil for none.
func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	if in == nil {
		return c.do(ctx, method, path, nil)
	}
	text, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return c.do(ctx, method, path, bytes.NewReader(text))
}

// call sends JSON and reads JSON; nil for none.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	r, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(r.Body).Decode(out)
}

// get and post are call where nothing interrupts.
func (c *Client) get(path string, out any) error {
	return c.call(context.Background(), "GET", path, nil, out)
}

func (c *Client) post(path string, in, out any) error {
	return c.call(context.Background(), "POST", path, in, out)
}

// on is the path of a verb for one container.
func on(ref, verb string, query ...string) string {
	path := "/containers/" + url.PathEscape(ref) + verb
	if len(query) == 0 {
		return path
	}
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		values.Add(query[i], query[i+1])
	}
	return path + "?" + values.Encode()
}
