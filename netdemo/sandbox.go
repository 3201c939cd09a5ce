package netdemo

import (
	"errors"
	"fmt"
	"net"
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

// Join makes the endpoint's veth pair: one end is a port of the bridge, the other is eth0 (or the next
// free ethN) in the sandbox. It gives that its address, and the default route if the sandbox has none
// yet, and publishes the ports. After an error the endpoint is as it was.
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
		}
	}()
	name, err := freeInterface(sb.NS)
	if err != nil {
		return err
	}
	e.Joined = &Joined{Sandbox: sb.ID, Interface: name}
	// Written down before anything is made: whoever finds it can take it all away again.
	back.add(func() error { return e.dropMembership() })
	if err := e.enterMembership(); err != nil {
		return err
	}
	back.add(func() error { return DeleteLink(e.c.host, e.HostLink) })
	if err := e.plug(n, sb.NS); err != nil {
		return err
	}
	if err := e.configure(n, sb.NS); err != nil {
		return err
	}
	back.add(func() error { return e.unpublish() })
	return e.publish(n)
}

// plug makes the veth pair, each end where it belongs.
func (e *Endpoint) plug(n *Network, sandbox *Namespace) error {
	mac, err := net.ParseMAC(e.MAC)
	if err != nil {
		return wrap("join", e.holder(), err)
	}
	err = CreateVeth(e.c.host, VethSpec{Name: e.HostLink, Peer: e.Joined.Interface, PeerIn: sandbox, PeerMAC: mac,
		Master: n.Spec.Bridge, MTU: n.Spec.MTU})
	if err != nil {
		return noBridge(err, n, e.Name)
	}
	if n.Spec.Proxy || len(e.Ports) == 0 {
		return nil
	}
	// Without a proxy, a container that calls its own published port is answered through the same
	// bridge port that it called from.
	return SetHairpin(e.c.host, e.HostLink, true)
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

// configure works on the end that is in the sandbox. Addresses first: a link that comes up without
// any would make itself an IPv6 one. The route last: its gateway must be reachable to be accepted.
func (e *Endpoint) configure(n *Network, ns *Namespace) error {
	if err := loopbackUp(ns); err != nil {
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
	if err := e.settle(n, ns); err != nil {
		return err
	}
	return n.defaultRoutes(ns)
}

func loopbackUp(ns *Namespace) error {
	if lo, err := LinkByName(ns, "lo"); err != nil || lo.Up {
		return err
	}
	return SetUp(ns, "lo")
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

// Leave undoes Join: the veth pair goes, and the sandbox's default route goes to another of its
// networks. A sandbox that is gone already, with the pair, is no obstacle; sb is then nil.
func (e *Endpoint) Leave(sb *Sandbox) error {
	if e.Joined == nil {
		return nil
	}
	err := errors.Join(e.unpublish(), DeleteLink(e.c.host, e.HostLink), e.dropMembership())
	if err != nil {
		return wrap("leave", e.holder(), err)
	}
	e.Joined = nil
	if sb == nil {
		return nil
	}
	return wrap("leave", e.holder(), e.c.rerouteSandbox(sb))
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

// DropSandbox forgets a sandbox whose endpoints have been deleted. A Join that was killed at its very
// beginning leaves a claim without an endpoint that is joined.
func (c *Controller) DropSandbox(id string) error {
	return wrap("drop", "sandbox "+id, os.RemoveAll(c.path("sandboxes", id)))
}

// enterMembership writes down who is joined to what, to be found from either side. A sandbox is on a
// network once only: a second claim fails.
func (e *Endpoint) enterMembership() error {
	id := e.Joined.Sandbox
	if !validName(id) && len(id) != 64 {
		return &Error{Op: "join", Subject: "sandbox " + id, Err: ErrInvalid}
	}
	dir := e.c.path("sandboxes", id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return wrap("join", id, err)
	}
	if err := (claims{dir}).take(e.Network, e.Name); err != nil {
		return wrap("join", id+" to "+e.Network, err)
	}
	return wrap("join", id, writeRecord(e.joinedPath(), e.Joined))
}

func (e *Endpoint) dropMembership() error {
	dir := claims{e.c.path("sandboxes", e.Joined.Sandbox)}
	if dir.holder(e.Network) != e.Name {
		return nil // the join was refused because another endpoint is there
	}
	err := errors.Join(removeRecord(e.joinedPath()), dir.release(e.Network))
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
