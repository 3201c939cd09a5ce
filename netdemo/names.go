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

// labels are in lower case: in the DNS it is the same.
func (e *Endpoint) labels() []string {
	// The short id is a name too: that is what a container's hostname is by default.
	labels := append([]string{e.Name, e.DNSName, e.ID[:12]}, e.Aliases...)
	for i := range labels {
		labels[i] = strings.ToLower(labels[i])
	}
	return labels
}

// Rename gives the endpoint another name in the DNS: docker rename. Name, by which it is found, stays.
// The record has both names while one takes the other's place: whoever deletes the endpoint after a
// Rename that was killed finds all that it bears.
func (e *Endpoint) Rename(dnsName string) error {
	if !validName(dnsName) {
		return &Error{Op: "rename", Subject: e.holder() + " to " + dnsName, Err: ErrInvalid}
	}
	n, err := e.c.Network(e.Network)
	if err != nil {
		return err
	}
	return n.lockEndpoints(func() error {
		now, err := n.Endpoint(e.Name)
		if err != nil {
			return err
		}
		e.DNSName = dnsName
		return wrap("rename", e.holder(), now.rename(dnsName))
	})
}

func (e *Endpoint) rename(dnsName string) error {
	both := *e
	both.DNSName, both.Aliases = dnsName, append(slices.Clone(e.Aliases), e.DNSName)
	e.DNSName = dnsName
	if err := writeRecord(e.recordPath(), both); err != nil {
		return err
	}
	if err := e.enterNames(); err != nil {
		return err
	}
	left := slices.DeleteFunc(both.labels(), func(l string) bool { return slices.Contains(e.labels(), l) })
	if err := e.drop(left); err != nil {
		return err
	}
	return writeRecord(e.recordPath(), e)
}

func (e *Endpoint) enterNames() error {
	text := e.Address.String()
	if e.Address6.IsValid() {
		text += " " + e.Address6.String()
	}
	for _, label := range e.labels() {
		dir := e.c.path("names", e.Network, label)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return wrap("enter name", label, err)
		}
		err := claims{dir}.take(e.Name, text)
		if err != nil && !errors.Is(err, fs.ErrExist) { // one may be another over again
			return wrap("enter name", label, err)
		}
	}
	return nil
}

func (e *Endpoint) dropNames() error { return e.drop(e.labels()) }

func (e *Endpoint) drop(labels []string) error {
	var errs []error
	for _, label := range labels {
		dir := e.c.path("names", e.Network, label)
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

// NameOf finds what has the address: "web.frontend" for web on the network frontend.
func (n *Network) NameOf(addr netip.Addr) (name string, known bool) {
	i := slices.IndexFunc(n.subnets(), func(p netip.Prefix) bool { return p.Contains(addr) })
	if i < 0 {
		return "", false
	}
	pool, err := n.pool(n.subnets()[i])
	if err != nil {
		return "", false
	}
	holder, isEndpoint := strings.CutSuffix(pool.leases.holder(addr.String()), " on "+n.Spec.Name)
	if !isEndpoint {
		return "", false
	}
	e, err := n.Endpoint(holder)
	if err != nil {
		return "", false
	}
	return e.DNSName + "." + n.Spec.Name, true
}
