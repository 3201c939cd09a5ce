package minicontainer

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/netdemo"
)

// NetworkRecord is a network that was made by hand, as it is kept over a reboot:
// the bridge is gone then, and is made again when a container wants it.
type NetworkRecord struct {
	ID      string
	Created time.Time
	Labels  map[string]string
	Spec    netdemo.NetworkSpec
}

// defaultBridge is the link of the network "bridge", which every engine has.
const defaultBridge = "cutaway0"

func (e *Engine) networkFile(name string) string {
	return filepath.Join(e.root, "networks", name+".json")
}

func (e *Engine) readNetwork(name string) (*NetworkRecord, error) {
	r := &NetworkRecord{}
	err := readJSON(e.networkFile(name), r)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NotFoundNetwork{name}
	}
	if err == nil && r.Spec.Name != name {
		err = fmt.Errorf("%s: it names no network, or another", e.networkFile(name))
	}
	return r, damaged("network "+name, "cutaway network rm "+name, err)
}

// CreateNetwork makes a network.
func (e *Engine) CreateNetwork(spec netdemo.NetworkSpec, labels map[string]string) (*NetworkRecord, error) {
	if slices.Contains([]string{"bridge", "host", "none", "default"}, spec.Name) {
		return nil, conflictf("operation is not permitted on predefined %s network", spec.Name)
	}
	if _, err := os.Lstat(e.networkFile(spec.Name)); err == nil {
		return nil, conflictf("network with name %s already exists", spec.Name)
	}
	nets, err := e.Networks()
	if err != nil {
		return nil, err
	}
	n, err := nets.CreateNetwork(spec)
	if errors.Is(err, netdemo.ErrNameTaken) {
		return nil, conflictf("network with name %s already exists", spec.Name)
	}
	if err != nil {
		return nil, err
	}
	r := &NetworkRecord{ID: n.ID, Created: time.Now().UTC(), Labels: labels, Spec: n.Spec}
	err = os.MkdirAll(filepath.Join(e.root, "networks"), 0o710)
	if err == nil {
		err = writeJSON(e.networkFile(spec.Name), r)
	}
	if err != nil {
		return nil, errors.Join(err, n.Delete())
	}
	return r, nil
}

// Network finds a network by name and makes it again if its bridge has gone,
// with a reboot or by hand. The network "bridge" is made when first asked for.
func (e *Engine) Network(name string) (*netdemo.Network, error) {
	nets, err := e.Networks()
	if err != nil {
		return nil, err
	}
	// One at a time: a network that another one is about to make has a record and a
	// bridge before its gateway has an address, and that address would be given away.
	lock, err := e.lockNetworks()
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	n, err := nets.Network(name)
	if err == nil {
		if _, err := netdemo.LinkByName(nets.Host(), n.Spec.Bridge); err == nil {
			return n, nil
		}
		return e.remake(nets, n)
	}
	if !errors.Is(err, netdemo.ErrNotFound) {
		return nil, err
	}
	spec := netdemo.NetworkSpec{Name: name, Bridge: defaultBridge, Proxy: true}
	if name != "bridge" {
		r, err := e.readNetwork(name)
		if err != nil {
			return nil, err
		}
		spec = r.Spec
	}
	return createOnce(nets, spec)
}

func (e *Engine) lockNetworks() (*os.File, error) {
	path := filepath.Join(e.settings.RunDir, "networks.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o710); err == nil {
			f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		}
	}
	if err != nil {
		return nil, err
	}
	return f, flock(f, unix.LOCK_EX)
}

// createOnce makes a network that others may be making at the same moment. A
// bridge of that name that belongs to no network of ours is left alone, be it a
// stranger's or one whose record was lost; ours gets another name then.
func createOnce(nets *netdemo.Controller, spec netdemo.NetworkSpec) (*netdemo.Network, error) {
	n, err := nets.CreateNetwork(spec)
	if errors.Is(err, netdemo.ErrOverlap) && spec.Name == "bridge" && spec.Subnet.IsValid() {
		// Nobody asked for this subnet: it was free when the bridge was first made.
		spec.Subnet, spec.Gateway = netip.Prefix{}, netip.Addr{}
		return createOnce(nets, spec)
	}
	if !errors.Is(err, netdemo.ErrNameTaken) {
		return n, err
	}
	if n, err := nets.Network(spec.Name); err == nil || spec.Bridge == "" {
		return n, err
	}
	spec.Bridge = ""
	return createOnce(nets, spec)
}

// remake makes a network's bridge again; endpoints of the old one are dead.
func (e *Engine) remake(nets *netdemo.Controller, n *netdemo.Network) (*netdemo.Network, error) {
	endpoints, err := n.Endpoints()
	for _, ep := range endpoints {
		err = errors.Join(err, ep.Disconnect(nil))
	}
	if err == nil {
		err = n.Delete()
	}
	if err != nil {
		return nil, err
	}
	return createOnce(nets, n.Spec)
}

// NotFoundNetwork says that there is no network of that name.
type NotFoundNetwork struct{ Ref string }

func (e *NotFoundNetwork) Error() string { return "No such network: " + e.Ref }

// resolveNetwork finds a network's name by name or the beginning of an id.
func (e *Engine) resolveNetwork(ref string) (string, error) {
	all, err := e.ListNetworks()
	if err != nil {
		return "", err
	}
	for _, r := range all {
		if r.Spec.Name == ref {
			return ref, nil
		}
	}
	for _, r := range all {
		if r.ID != "" && strings.HasPrefix(r.ID, ref) {
			return r.Spec.Name, nil
		}
	}
	return "", &NotFoundNetwork{ref}
}

// ListNetworks lists the networks by name: those that exist now, and those
// that will again when they are wanted. "host" and "none" are not among them.
func (e *Engine) ListNetworks() ([]*NetworkRecord, error) {
	files, err := filepath.Glob(e.networkFile("*"))
	if err != nil {
		return nil, err
	}
	var all []*NetworkRecord
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		r, err := e.readNetwork(name)
		if gone := (*NotFoundNetwork)(nil); errors.As(err, &gone) {
			continue
		}
		if isDamaged(err) { // its name is left, for removing it
			r, err = &NetworkRecord{Spec: netdemo.NetworkSpec{Name: name}}, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	r := &NetworkRecord{Spec: netdemo.NetworkSpec{Name: "bridge", Bridge: defaultBridge, Subnet: netip.Prefix{}, Proxy: true}}
	nets, err := e.Networks()
	if err != nil {
		return nil, err
	}
	if n, err := nets.Network("bridge"); err == nil {
		r.ID, r.Spec = n.ID, n.Spec
	}
	all = append(all, r)
	slices.SortFunc(all, func(a, b *NetworkRecord) int { return strings.Compare(a.Spec.Name, b.Spec.Name) })
	return all, nil
}
