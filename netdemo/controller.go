package netdemo

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Controller is the entry to the networks of one host: a state folder and the namespace that plays
// the host. It keeps nothing in memory; any number of processes may open the same folder.
//
//	ROOT/networks/NET.json           the network
//	ROOT/endpoints/NET/NAME.json     an endpoint
//	ROOT/joined/NET/NAME.json        ... and its sandbox, while it is joined
//	ROOT/names/NET/LABEL/NAME        a name in the DNS: the endpoint's addresses
//	ROOT/pools/172.18.0.0_16/ADDR    a lease: who holds the address
//	ROOT/ports/tcp_8080_any          a published port: who published it
//	ROOT/sandboxes/ID/NET            the sandbox is joined to the network: by which endpoint
type Controller struct {
	root string
	host *Namespace
}

// OpenController opens the state folder root, and makes it when it is new. It reads and writes only
// below root and in host; host stays the caller's to close. The state speaks of links that are gone after
// a restart of the machine, so root belongs on a tmpfs such as /run; on a disk it works, at half the speed.
func OpenController(root string, host *Namespace) (*Controller, error) {
	for _, dir := range []string{"networks", "endpoints", "joined", "names", "pools", "ports", "sandboxes"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			return nil, wrap("open controller", root, err)
		}
	}
	return &Controller{root: root, host: host}, nil
}

// Host is the namespace that plays the host.
func (c *Controller) Host() *Namespace { return c.host }

func (c *Controller) path(parts ...string) string {
	return filepath.Join(append([]string{c.root}, parts...)...)
}

func (c *Controller) ports() portLedger { return portLedger{c.host, claims{c.path("ports")}} }

// Network finds a network by name. ErrNotFound.
func (c *Controller) Network(name string) (*Network, error) {
	n := &Network{c: c}
	return n, readRecord(c.path("networks", name+".json"), "network "+name, n)
}

// Networks lists the networks by name.
func (c *Controller) Networks() ([]*Network, error) {
	names, err := claims{c.path("networks")}.names()
	var all []*Network
	for _, name := range names {
		n, err := c.Network(strings.TrimSuffix(name, ".json"))
		if errors.Is(err, ErrNotFound) {
			continue // removed since the folder was read
		}
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, wrap("list networks", c.root, err)
}

func readRecord(path, what string, into any) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{Op: "find", Subject: what, Err: ErrNotFound}
	}
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	return wrap("read", what, err)
}

// writeRecord replaces a record at once: readers see the old text or the new one. A writer that is killed
// leaves half a text beside it, which the next one writes over and removeRecord takes along.
func writeRecord(path string, record any) error {
	b, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(beside(path), append(b, '\n'), 0o600); err != nil {
		return errors.Join(err, gone(os.Remove(beside(path))))
	}
	return os.Rename(beside(path), path)
}

func removeRecord(path string) error {
	return errors.Join(gone(os.Remove(beside(path))), gone(os.Remove(path)))
}

// beside begins with a dot, as whatever in a folder is nobody's record or claim.
func beside(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"-new")
}
