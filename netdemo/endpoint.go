package netdemo

import (
	"cmp"
	"errors"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Endpoint is a container's place on a network: its name there, its addresses and its MAC. The kernel
// sees it from Join on, as a veth pair with one end on the bridge and the other in the sandbox.
//
// Docker makes the pair before the join, with both ends on the host, and then moves one of them. The
// move costs a wait of 10 to 20 ms for all CPUs (synchronize_net); a pair whose far end is made where it
// belongs costs one or two.
type Endpoint struct {
	ID       string
	Network  string
	Name     string
	DNSName  string
	Aliases  []string `json:",omitempty"`
	Address  netip.Addr
	Address6 netip.Addr `json:",omitzero"`
	MAC      string
	HostLink string     // what the end on the bridge is called
	Ports    []PortSpec `json:",omitempty"` // as asked for
	Joined   *Joined    `json:"-"`          // nil while it is not joined; in a file of its own
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

// CreateEndpoint takes a name and addresses on the network.
// ErrNameTaken, ErrPoolExhausted, ErrAddressInUse, ErrBridgeGone; after an error nothing is left.
func (n *Network) CreateEndpoint(spec EndpointSpec) (*Endpoint, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	id := newID()
	e := &Endpoint{ID: id, Network: n.Spec.Name, Name: spec.Name, DNSName: cmp.Or(spec.DNSName, spec.Name), Aliases: spec.Aliases,
		Ports: spec.Ports, HostLink: "veth" + id[:7], c: n.c}
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
	if _, err := LinkByName(e.c.host, n.Spec.Bridge); err != nil {
		return noBridge(err, n, spec.Name)
	}
	if _, err := os.Stat(e.recordPath()); err == nil {
		return &Error{Op: "create endpoint", Subject: spec.Name + " on " + n.Spec.Name, Err: ErrNameTaken}
	}
	var back undo
	defer func() {
		if err != nil {
			err = errors.Join(err, back.run())
		}
	}()
	back.add(func() error { return e.releaseAddresses(n) })
	if err := e.requestAddresses(n, spec); err != nil {
		return err
	}
	mac := spec.MAC
	if mac == nil {
		mac = MACFor(e.Address)
	}
	e.MAC = mac.String()
	back.add(func() error { return removeRecord(e.recordPath()) })
	if err := writeRecord(e.recordPath(), e); err != nil {
		return wrap("create endpoint", spec.Name, err)
	}
	back.add(func() error { return e.dropNames() })
	return e.enterNames()
}

// noBridge says what it means that the bridge is not there.
func noBridge(err error, n *Network, endpoint string) error {
	if !errors.Is(err, unix.ENODEV) {
		return err
	}
	return &Error{Op: "create endpoint", Subject: endpoint + " on " + n.Spec.Bridge, Err: errors.Join(ErrBridgeGone, unix.ENODEV)}
}

// holder is what stands in the leases and in messages: who has it.
func (e *Endpoint) holder() string { return e.Name + " on " + e.Network }

func (e *Endpoint) requestAddresses(n *Network, spec EndpointSpec) (err error) {
	for _, sub := range n.subnets() {
		if sub.Addr().Is6() {
			e.Address6, err = n.requestFrom(sub, e.holder(), spec.Address6)
		} else {
			e.Address, err = n.requestFrom(sub, e.holder(), spec.Address)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// requestFrom takes an address from the subnet's pool. When that is dry, leases whose takers died
// before they had written themselves down are taken back, and it is tried once more. It gives no
// address with an error, so that nobody releases another's lease.
func (n *Network) requestFrom(sub netip.Prefix, holder string, want netip.Addr) (netip.Addr, error) {
	pool, err := n.pool(sub)
	if err != nil {
		return netip.Addr{}, err
	}
	got, err := pool.Request(holder, want)
	if errors.Is(err, ErrPoolExhausted) && n.sweep(pool) == nil {
		got, err = pool.Request(holder, want)
	}
	if err != nil {
		return netip.Addr{}, err
	}
	return got, nil
}

// sweep releases the leases of endpoints that are not recorded. The caller has the network's lock,
// so none of them is just being made.
func (n *Network) sweep(pool *Pool) error {
	leases, err := pool.Leases()
	for _, l := range leases {
		name, isEndpoint := strings.CutSuffix(l.Holder, " on "+n.Spec.Name)
		if !isEndpoint {
			continue
		}
		if _, findErr := n.Endpoint(name); errors.Is(findErr, ErrNotFound) {
			err = errors.Join(err, pool.Release(l.Addr))
		}
	}
	return err
}

func (e *Endpoint) releaseAddresses(n *Network) error {
	var errs []error
	for _, sub := range n.subnets() {
		pool, err := n.pool(sub)
		if err == nil {
			err = pool.Release(e.addressIn(sub))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (e *Endpoint) recordPath() string { return e.c.path("endpoints", e.Network, e.Name+".json") }

func (e *Endpoint) joinedPath() string { return e.c.path("joined", e.Network, e.Name+".json") }

// Endpoint finds an endpoint by the container's name. ErrNotFound.
func (n *Network) Endpoint(name string) (*Endpoint, error) {
	e := &Endpoint{c: n.c, Network: n.Spec.Name, Name: name}
	if err := readRecord(e.recordPath(), "endpoint "+name+" on "+n.Spec.Name, e); err != nil {
		return nil, err
	}
	joined := &Joined{}
	err := readRecord(e.joinedPath(), "sandbox of "+name, joined)
	if errors.Is(err, ErrNotFound) {
		return e, nil
	}
	e.Joined = joined
	return e, err
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

// Delete removes the endpoint: names and addresses. ErrInUse while it is joined.
func (e *Endpoint) Delete() error {
	n, err := e.c.Network(e.Network)
	if err != nil {
		return err
	}
	return n.lockEndpoints(func() error {
		if e.Joined != nil {
			return &Error{Op: "delete endpoint", Subject: e.holder() + " (joined to " + e.Joined.Sandbox + ")", Err: ErrInUse}
		}
		err := errors.Join(e.dropNames(), e.releaseAddresses(n))
		if err == nil {
			err = errors.Join(removeRecord(e.joinedPath()), removeRecord(e.recordPath()))
		}
		return wrap("delete endpoint", e.holder(), err)
	})
}

// Forget removes what a CreateEndpoint that was killed before it had recorded the endpoint left under its
// name: addresses, and half a record. An endpoint that is recorded stays.
func (n *Network) Forget(name string) error {
	return n.lockEndpoints(func() error {
		if _, err := n.Endpoint(name); !errors.Is(err, ErrNotFound) {
			return err
		}
		e := &Endpoint{c: n.c, Network: n.Spec.Name, Name: name}
		errs := []error{removeRecord(e.recordPath())}
		for _, sub := range n.subnets() {
			errs = append(errs, n.releaseHeld(sub, e.holder()))
		}
		return wrap("forget endpoint", e.holder(), errors.Join(errs...))
	})
}

func (n *Network) releaseHeld(sub netip.Prefix, holder string) error {
	pool, err := n.pool(sub)
	if err != nil {
		return err
	}
	leases, err := pool.Leases()
	for _, l := range leases {
		if l.Holder == holder {
			err = errors.Join(err, pool.Release(l.Addr))
		}
	}
	return err
}
