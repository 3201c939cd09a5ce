package netdemo

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// A name in a network's DNS is a folder with one claim for each endpoint that bears it; what it holds are
// the endpoint's addresses. Looking a name up is reading one folder, whatever the network's size, and
// any process that serves a sandbox's resolver sees a new container at once.

func (e *Endpoint) labels() []string {
	// The short id is a name too: that is what a container's hostname is by default.
	return append([]string{e.Name, e.ID[:12]}, e.Aliases...)
}

func (e *Endpoint) enterNames() error {
	text := e.Address.String()
	if e.Address6.IsValid() {
		text += " " + e.Address6.String()
	}
	for _, label := range e.labels() {
		dir := e.c.path("names", e.Network, strings.ToLower(label))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return wrap("enter name", label, err)
		}
		err := claims{dir}.take(e.Name, text)
		if err != nil && !errors.Is(err, fs.ErrExist) { // an alias may be the name over again
			return wrap("enter name", label, err)
		}
	}
	return nil
}

func (e *Endpoint) dropNames() error {
	var errs []error
	for _, label := range e.labels() {
		dir := e.c.path("names", e.Network, strings.ToLower(label))
		errs = append(errs, gone(os.Remove(dir+"/"+e.Name)))
		os.Remove(dir) // fails while another endpoint bears the same alias
	}
	return errors.Join(errs...)
}

// Lookup finds the addresses that a name has on the network, of all endpoints that bear it. Upper and
// lower case are the same. known is false when nobody bears it.
func (n *Network) Lookup(name string) (addrs []netip.Addr, known bool) {
	if !validName(name) {
		return nil, false
	}
	dir := claims{n.c.path("names", n.Spec.Name, strings.ToLower(name))}
	bearers, _ := dir.names()
	for _, b := range bearers {
		for word := range strings.FieldsSeq(dir.holder(b)) {
			if a, err := netip.ParseAddr(word); err == nil {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs, len(addrs) > 0
}

// NameOf finds the container that has the address: "web.frontend" for web on the network frontend.
func (n *Network) NameOf(addr netip.Addr) (name string, known bool) {
	i := slices.IndexFunc(n.subnets(), func(p netip.Prefix) bool { return p.Contains(addr) })
	if i < 0 {
		return "", false
	}
	pool, err := n.pool(n.subnets()[i])
	if err != nil {
		return "", false
	}
	container, isEndpoint := strings.CutSuffix(pool.leases.holder(addr.String()), " on "+n.Spec.Name)
	return container + "." + n.Spec.Name, isEndpoint
}
