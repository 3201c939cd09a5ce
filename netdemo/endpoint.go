package netdemo

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Endpoint is a container's plug: a veth pair of which one end is a port of the network's bridge. The
// other end lies beside it, until Join moves it into a sandbox.
type Endpoint struct {
	ID       string
	Network  string
	Name     string
	Aliases  []string `json:",omitempty"`
	Address  netip.Addr
	Address6 netip.Addr `json:",omitzero"`
	MAC      string
	HostLink string     // the end on the bridge
	PeerLink string     // the other end's name while it is on the host
	Ports    []PortSpec `json:",omitempty"` // as asked for
	Joined   *Joined    `json:",omitempty"`
	c        *Controller
}

// Joined is what Join adds.
type Joined struct {
	Sandbox   string // id
	Interface string // "eth0"
	Published []Published
}

// Published is a port with the host port that it got, and its proxy.
type Published struct {
	PortSpec
	Proxy *ProxyProcess `json:",omitempty"`
}

// CreateEndpoint takes a name and addresses, and makes the veth pair on the network's bridge.
// ErrNameTaken, ErrPoolExhausted, ErrAddressInUse, ErrBridgeGone; after an error nothing is left.
func (n *Network) CreateEndpoint(spec EndpointSpec) (*Endpoint, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	id := newID()
	e := &Endpoint{ID: id, Network: n.Spec.Name, Name: spec.Name, Aliases: spec.Aliases, Ports: spec.Ports,
		HostLink: "veth" + id[:7], PeerLink: "vethp" + id[:7], c: n.c}
	err := n.lockEndpoints(func() error { return e.build(n, spec) })
	if err != nil {
		return nil, err
	}
	return e, nil
}

// lockEndpoints keeps the network from being deleted, and two endpoints from the same name.
func (n *Network) lockEndpoints(fn func() error) error {
	if _, err := n.c.Network(n.Spec.Name); err != nil {
		return err
	}
	return locked(n.c.path("endpoints", n.Spec.Name), fn)
}

func (e *Endpoint) build(n *Network, spec EndpointSpec) (err error) {
	if _, err := os.Stat(e.recordPath()); err == nil {
		return &Error{Op: "create endpoint", Subject: spec.Name + " on " + n.Spec.Name, Err: ErrNameTaken}
	}
	var back undo
	defer func() {
		if err != nil {
			err = errors.Join(err, back.run())
		}
	}()
	back.add(func() error { return gone(os.Remove(e.recordPath())) })
	if err := writeRecord(e.recordPath(), e); err != nil {
		return wrap("create endpoint", spec.Name, err)
	}
	back.add(func() error { return e.releaseAddresses(n) })
	if err := e.requestAddresses(n, spec); err != nil {
		return err
	}
	mac := spec.MAC
	if mac == nil {
		mac = MACFor(e.Address)
	}
	e.MAC = mac.String()
	back.add(func() error { return DeleteLink(e.c.host, e.HostLink) })
	if err := e.plug(n, mac); err != nil {
		return err
	}
	back.add(func() error { return e.dropNames() })
	if err := e.enterNames(); err != nil {
		return err
	}
	return wrap("create endpoint", spec.Name, writeRecord(e.recordPath(), e))
}

func (e *Endpoint) plug(n *Network, mac net.HardwareAddr) error {
	err := CreateVeth(e.c.host, VethSpec{Name: e.HostLink, Peer: e.PeerLink, PeerMAC: mac, Master: n.Spec.Bridge, MTU: n.Spec.MTU})
	if errors.Is(err, unix.ENODEV) {
		return &Error{Op: "create endpoint", Subject: e.Name + " on " + n.Spec.Bridge, Err: errors.Join(ErrBridgeGone, unix.ENODEV)}
	}
	if err != nil || n.Spec.Proxy {
		return err
	}
	// Without a proxy, a container that calls its own published port is answered through the same
	// bridge port that it called from.
	return SetHairpin(e.c.host, e.HostLink, true)
}

// holder is what stands in the leases and in messages: who has it.
func (e *Endpoint) holder() string { return e.Name + " on " + e.Network }

func (e *Endpoint) requestAddresses(n *Network, spec EndpointSpec) error {
	for _, sub := range n.subnets() {
		pool, err := n.pool(sub)
		if err != nil {
			return err
		}
		if sub.Addr().Is6() {
			e.Address6, err = requestOnce(pool, e.holder(), spec.Address6)
		} else {
			e.Address, err = requestOnce(pool, e.holder(), spec.Address)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// requestOnce gives no address with an error, so that undo does not release another's lease.
func requestOnce(p *Pool, holder string, want netip.Addr) (netip.Addr, error) {
	got, err := p.Request(holder, want)
	if err != nil {
		return netip.Addr{}, err
	}
	return got, nil
}

func (e *Endpoint) releaseAddresses(n *Network) error {
	var errs []error
	for _, sub := range n.subnets() {
		pool, err := n.pool(sub)
		errs = append(errs, err)
		for _, addr := range []netip.Addr{e.Address, e.Address6} {
			if err == nil && sub.Contains(addr) {
				errs = append(errs, pool.Release(addr))
			}
		}
		if err == nil && !e.Address.IsValid() {
			// The record was written before the address was known, and the writer died.
			errs = append(errs, pool.releaseHolder(e.holder()))
		}
	}
	return errors.Join(errs...)
}

func (e *Endpoint) recordPath() string { return e.c.path("endpoints", e.Network, e.Name+".json") }

// Endpoint finds an endpoint by the container's name. ErrNotFound.
func (n *Network) Endpoint(name string) (*Endpoint, error) {
	e := &Endpoint{c: n.c}
	return e, readRecord(n.c.path("endpoints", n.Spec.Name, name+".json"), "endpoint "+name+" on "+n.Spec.Name, e)
}

// Endpoints lists the network's endpoints by name.
func (n *Network) Endpoints() ([]*Endpoint, error) {
	names, err := n.endpointNames()
	var all []*Endpoint
	for _, name := range names {
		e, err := n.Endpoint(name)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, err
}

// Delete removes the endpoint: names, veth pair, addresses. ErrInUse while it is joined.
func (e *Endpoint) Delete() error {
	n, err := e.c.Network(e.Network)
	if err != nil {
		return err
	}
	return n.lockEndpoints(func() error {
		if e.Joined != nil {
			return &Error{Op: "delete endpoint", Subject: e.holder() + " (joined to " + e.Joined.Sandbox + ")", Err: ErrInUse}
		}
		err := errors.Join(e.dropNames(), DeleteLink(e.c.host, e.HostLink), e.releaseAddresses(n))
		if err == nil {
			err = gone(os.Remove(e.recordPath()))
		}
		return wrap("delete endpoint", e.holder(), err)
	})
}

func (p *Pool) releaseHolder(holder string) error {
	leases, err := p.Leases()
	for _, l := range leases {
		if l.Holder == holder {
			err = errors.Join(err, p.Release(l.Addr))
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
