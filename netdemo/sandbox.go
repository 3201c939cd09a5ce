package netdemo

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Sandbox is a container's network namespace with the name by which the controller knows it. The
// namespace is the caller's to open and close; its links go when it goes.
type Sandbox struct {
	ID string
	NS *Namespace
}

// Join moves the endpoint's free end into the sandbox as eth0 (or the next free ethN), gives it its
// address and the default route, if the sandbox has none yet, and publishes the ports. After an error
// the endpoint is as it was.
func (e *Endpoint) Join(sb *Sandbox) (err error) {
	n, err := e.c.Network(e.Network)
	if err != nil {
		return err
	}
	if e.Joined != nil {
		return &Error{Op: "join", Subject: e.holder() + " (joined to " + e.Joined.Sandbox + ")", Err: ErrInUse}
	}
	var back undo
	defer func() {
		if err != nil {
			err = errors.Join(err, back.run())
			e.Joined = nil
			err = errors.Join(err, writeRecord(e.recordPath(), e))
		}
	}()
	back.add(func() error { return e.dropMembership(sb.ID) })
	if err := e.enterMembership(sb.ID); err != nil {
		return err
	}
	name, err := freeInterface(sb.NS)
	if err != nil {
		return err
	}
	e.Joined = &Joined{Sandbox: sb.ID, Interface: name}
	if err := MoveLink(e.c.host, e.PeerLink, sb.NS, name); err != nil {
		return err
	}
	back.add(func() error { return e.takeOut(sb) })
	if err := e.configure(n, sb.NS); err != nil {
		return err
	}
	back.add(func() error { return e.unpublish() })
	if err := e.publish(n); err != nil {
		return err
	}
	return wrap("join", e.holder(), writeRecord(e.recordPath(), e))
}

func freeInterface(ns *Namespace) (string, error) {
	for i := 0; ; i++ {
		name := fmt.Sprintf("eth%d", i)
		if _, err := LinkByName(ns, name); errors.Is(err, unix.ENODEV) {
			return name, nil
		} else if err != nil {
			return "", err
		}
	}
}

// configure works on the end that is in the sandbox now. Addresses first: a link that comes up without
// any would make itself an IPv6 one. The route last: its gateway must be reachable to be accepted.
func (e *Endpoint) configure(n *Network, ns *Namespace) error {
	if err := SetUp(ns, "lo"); err != nil {
		return err
	}
	link := e.Joined.Interface
	if !n.Spec.Subnet6.IsValid() {
		err := WriteSysctl(ns, "net.ipv6.conf."+link+".disable_ipv6", "1")
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	for _, sub := range n.subnets() {
		if err := AddAddress(ns, link, netip.PrefixFrom(e.addressIn(sub), sub.Bits())); err != nil {
			return err
		}
	}
	if err := SetUp(ns, link); err != nil {
		return err
	}
	return n.defaultRoutes(ns)
}

func (e *Endpoint) addressIn(sub netip.Prefix) netip.Addr {
	if sub.Addr().Is4() {
		return e.Address
	}
	return e.Address6
}

// defaultRoutes points the sandbox at the network's gateways where it has no default route yet: the
// network joined first leads out.
func (n *Network) defaultRoutes(ns *Namespace) error {
	if n.Spec.Internal {
		return nil
	}
	for _, sub := range n.subnets() {
		err := AddDefaultRoute(ns, n.gatewayFor(sub))
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	return nil
}

// Leave undoes Join: the link comes back out of the sandbox, and the sandbox's default route goes to
// another of its networks. A sandbox that is gone already, with its link, is no obstacle.
func (e *Endpoint) Leave(sb *Sandbox) error {
	if e.Joined == nil {
		return nil
	}
	id := e.Joined.Sandbox
	err := errors.Join(e.unpublish(), e.takeOut(sb), e.dropMembership(id))
	if err != nil {
		return wrap("leave", e.holder(), err)
	}
	e.Joined = nil
	if sb != nil {
		err = e.c.rerouteSandbox(sb)
	}
	return wrap("leave", e.holder(), errors.Join(err, writeRecord(e.recordPath(), e)))
}

// takeOut moves the link back to the host. With no sandbox to take it from it is looked for no
// further: the kernel deletes a veth with the namespace that one of its ends is in.
func (e *Endpoint) takeOut(sb *Sandbox) error {
	if sb == nil {
		return nil
	}
	if err := SetDown(sb.NS, e.Joined.Interface); err != nil {
		if errors.Is(err, unix.ENODEV) {
			return nil
		}
		return err
	}
	// Renamed before it moves: the host may well have an eth0 of its own.
	if err := RenameLink(sb.NS, e.Joined.Interface, e.PeerLink); err != nil {
		return err
	}
	return MoveLink(sb.NS, e.PeerLink, e.c.host, e.PeerLink)
}

// rerouteSandbox gives the sandbox a default route through a network that it is still on, if the one
// that led out is gone: the first by name, as Docker does.
func (c *Controller) rerouteSandbox(sb *Sandbox) error {
	networks, err := c.SandboxNetworks(sb.ID)
	for _, n := range networks {
		err = errors.Join(err, n.defaultRoutes(sb.NS))
	}
	return err
}

// SandboxNetworks lists the networks that a sandbox is joined to, by name.
func (c *Controller) SandboxNetworks(id string) ([]*Network, error) {
	names, err := claims{c.path("sandboxes", id)}.names()
	var all []*Network
	for _, name := range names {
		n, err := c.Network(name)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, err
}

func (e *Endpoint) enterMembership(id string) error {
	if !validName(id) && len(id) != 64 {
		return &Error{Op: "join", Subject: "sandbox " + id, Err: ErrInvalid}
	}
	dir := e.c.path("sandboxes", id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return wrap("join", id, err)
	}
	return wrap("join", id+" to "+e.Network, claims{dir}.take(e.Network, e.Name))
}

func (e *Endpoint) dropMembership(id string) error {
	dir := claims{e.c.path("sandboxes", id)}
	if dir.holder(e.Network) != e.Name {
		return nil // the failed join was refused because another endpoint is there
	}
	err := dir.release(e.Network)
	os.Remove(dir.dir) // fails while the sandbox is on another network
	return err
}

// Connect makes an endpoint for the sandbox and joins it: docker network connect.
func (n *Network) Connect(sb *Sandbox, spec EndpointSpec) (*Endpoint, error) {
	e, err := n.CreateEndpoint(spec)
	if err != nil {
		return nil, err
	}
	if err := e.Join(sb); err != nil {
		return nil, errors.Join(err, e.Delete())
	}
	return e, nil
}

// Disconnect is Leave and Delete: docker network disconnect. sb may be nil when it is gone.
func (e *Endpoint) Disconnect(sb *Sandbox) error {
	if err := e.Leave(sb); err != nil {
		return err
	}
	return e.Delete()
}
