package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer"
	"cutaway/netdemo"
	"cutaway/unionfs/layertar"
)

var _ Backend = (*Client)(nil)

// Create is Engine.Create, asked of the daemon; so are all that follow.
func (c *Client) Create(o minicontainer.Options) (*minicontainer.Container, error) {
	var out minicontainer.Container
	return &out, c.post("/containers/create", o, &out)
}

func (c *Client) Stop(ref string, seconds *int) error {
	return c.post(on(ref, "/stop", timeout(seconds)...), nil, nil)
}

func (c *Client) Restart(ref string, seconds *int) error {
	return c.post(on(ref, "/restart", timeout(seconds)...), nil, nil)
}

func timeout(seconds *int) []string {
	if seconds == nil {
		return nil
	}
	return []string{"t", strconv.Itoa(*seconds)}
}

func (c *Client) Kill(ref string, sig unix.Signal) error {
	return c.post(on(ref, "/kill"), killRequest{int(sig)}, nil)
}

func (c *Client) Pause(ref string) error { return c.post(on(ref, "/pause"), nil, nil) }

func (c *Client) Unpause(ref string) error { return c.post(on(ref, "/unpause"), nil, nil) }

func (c *Client) Rename(ref, name string) error {
	return c.post(on(ref, "/rename"), renameRequest{name}, nil)
}

func (c *Client) Update(ref string, r minicontainer.Resources, policy *minicontainer.RestartPolicy) error {
	return c.post(on(ref, "/update"), updateRequest{r, policy}, nil)
}

func (c *Client) Wait(ctx context.Context, ref string) (int, error) {
	var out waited
	err := c.call(ctx, "POST", on(ref, "/wait"), nil, &out)
	return out.StatusCode, err
}

func (c *Client) Remove(ref string, o minicontainer.RemoveOptions) error {
	path := on(ref, "", "force", strconv.FormatBool(o.Force), "v", strconv.FormatBool(o.Volumes))
	return c.call(context.Background(), "DELETE", path, nil, nil)
}

func (c *Client) Prune(filters map[string][]string) ([]string, int64, error) {
	var out pruned
	err := c.post("/containers/prune", filters, &out)
	return out.ContainersDeleted, out.SpaceReclaimed, err
}

func (c *Client) Inspect(ref string) (*minicontainer.Container, error) {
	out := record{Container: &minicontainer.Container{}}
	if err := c.get(on(ref, "/record"), &out); err != nil {
		return nil, err
	}
	return out.whole(), nil
}

func (c *Client) Details(ref string, size bool) (*minicontainer.Details, error) {
	var out minicontainer.Details
	return &out, c.get(on(ref, "/json", "size", strconv.FormatBool(size)), &out)
}

func (c *Client) List(o minicontainer.ListOptions) ([]*minicontainer.Container, error) {
	var records []record
	err := c.post("/containers/json", o, &records)
	all := []*minicontainer.Container{}
	for _, r := range records {
		all = append(all, r.whole())
	}
	return all, err
}

func (c *Client) Sizes(ref string) (int64, int64, error) {
	var out sizes
	err := c.get(on(ref, "/sizes"), &out)
	return out.Written, out.Whole, err
}

func (c *Client) Top(ref string, args []string) ([]string, [][]string, error) {
	var query []string
	for _, a := range args {
		query = append(query, "arg", a)
	}
	var out topAnswer
	err := c.get(on(ref, "/top", query...), &out)
	return out.Titles, out.Processes, err
}

func (c *Client) Stats(ref string) (*minicontainer.Stats, error) {
	var out minicontainer.Stats
	return &out, c.get(on(ref, "/stats"), &out)
}

func (c *Client) Ports(ref string) ([]minicontainer.PortLine, error) {
	var out []minicontainer.PortLine
	err := c.get(on(ref, "/ports"), &out)
	return out, err
}

func (c *Client) Diff(ref string) ([]layertar.Change, error) {
	var out []layertar.Change
	err := c.get(on(ref, "/changes"), &out)
	return out, err
}

func (c *Client) CommitID(ref string, o minicontainer.CommitOptions) (string, error) {
	var out struct{ Id string }
	err := c.post(on(ref, "/commit"), o, &out)
	return out.Id, err
}

func (c *Client) Export(ref string, w io.Writer) error { return c.download(on(ref, "/export"), w) }

func (c *Client) CopyFrom(ref, name string, w io.Writer) error {
	return c.download(on(ref, "/archive", "path", name), w)
}

func (c *Client) download(path string, w io.Writer) error {
	r, err := c.do(context.Background(), "GET", path, nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	_, err = io.Copy(w, r.Body)
	return err
}

func (c *Client) CopyTo(ref, name string, tar io.Reader) error {
	r, err := c.do(context.Background(), "PUT", on(ref, "/archive", "path", name), tar)
	if err != nil {
		return err
	}
	return r.Body.Close()
}

func (c *Client) StatPath(ref, name string) (minicontainer.PathStat, error) {
	var out minicontainer.PathStat
	err := c.get(on(ref, "/stat", "path", name), &out)
	return out, err
}

func (c *Client) Logs(ctx context.Context, ref string, o minicontainer.LogOptions, stdout, stderr io.Writer) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	r, err := c.do(ctx, "GET", on(ref, "/logs", "options", string(text)), nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	end, err := receive(&frames{r: r.Body}, stdout, stderr)
	if err == nil && end.Error != "" {
		err = errors.New(end.Error)
	}
	return err
}

func (c *Client) CreateNetwork(spec netdemo.NetworkSpec, labels map[string]string) (*minicontainer.NetworkRecord, error) {
	var out minicontainer.NetworkRecord
	return &out, c.post("/networks/create", networkRequest{spec, labels}, &out)
}

func (c *Client) ListNetworks() ([]*minicontainer.NetworkRecord, error) {
	var out []*minicontainer.NetworkRecord
	err := c.get("/networks", &out)
	return out, err
}

func network(ref, verb string) string { return "/networks/" + url.PathEscape(ref) + verb }

func (c *Client) InspectNetwork(ref string) (*minicontainer.NetworkDetails, error) {
	var out minicontainer.NetworkDetails
	return &out, c.get(network(ref, ""), &out)
}

func (c *Client) RemoveNetwork(ref string) error {
	return c.call(context.Background(), "DELETE", network(ref, ""), nil, nil)
}

func (c *Client) PruneNetworks() ([]string, error) {
	var out []string
	err := c.post("/networks/prune", nil, &out)
	return out, err
}

func (c *Client) ConnectNetwork(name, ref string, s minicontainer.EndpointSettings) error {
	return c.post(network(name, "/connect"), memberRequest{ref, s}, nil)
}

func (c *Client) DisconnectNetwork(name, ref string) error {
	return c.post(network(name, "/disconnect"), memberRequest{Container: ref}, nil)
}

// receive hands out what frames bring, until they say how it ended.
func receive(f *frames, stdout, stderr io.Writer) (end ending, err error) {
	for {
		kind, content, err := f.read()
		if err != nil {
			return end, fmt.Errorf("the daemon is gone: %w", err)
		}
		switch kind {
		case frameOut:
			_, err = stdout.Write(content)
		case frameErr:
			_, err = stderr.Write(content)
		case frameEnd:
			return end, json.Unmarshal(content, &end)
		}
		if err != nil {
			return end, err
		}
	}
}
