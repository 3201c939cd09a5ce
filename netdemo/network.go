package netdemo

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Network is a bridge in the host's namespace with its subnets and rules.
type Network struct {
	ID   string
	Spec NetworkSpec // with everything filled in that was left to choose
	c    *Controller
}

// CreateNetwork makes a network: pool, bridge, gateway address, forwarding, rules. ErrNameTaken,
// ErrOverlap (naming the other subnet), ErrPoolExhausted; after an error nothing is left of it.
func (c *Controller) CreateNetwork(spec NetworkSpec) (*Network, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	n := &Network{ID: newID(), Spec: spec, c: c}
	// One creation at a time: between choosing a subnet and writing it down nobody else may choose.
	err := locked(c.path("networks"), func() error {
		if _, err := c.Network(spec.Name); !errors.Is(err, ErrNotFound) {
			return &Error{Op: "create network", Subject: spec.Name, Err: errors.Join(ErrNameTaken, err)}
		}
		if err := n.fillIn(); err != nil {
			return err
		}
		return n.build()
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// fillIn chooses what the spec leaves open, and refuses a subnet that is in use.
func (n *Network) fillIn() error {
	taken, err := n.c.takenSubnets()
	if err != nil {
		return err
	}
	s := &n.Spec
	if !s.Subnet.IsValid() {
		if s.Subnet, err = FreeSubnet(taken); err != nil {
			return err
		}
		s.AnySubnet = true
	}
	for _, sub := range n.subnets() {
		if other, clash := overlapping(sub, taken); clash {
			return &Error{Op: "create network", Subject: sub.String() + " against " + other.String(), Err: ErrOverlap}
		}
	}
	s.Subnet = s.Subnet.Masked()
	if !s.Gateway.IsValid() {
		s.Gateway = gatewayOf(s.Subnet)
	}
	if s.Subnet6.IsValid() {
		s.Subnet6 = s.Subnet6.Masked()
		if !s.Gateway6.IsValid() {
			s.Gateway6 = gatewayOf(s.Subnet6)
		}
	}
	if s.Bridge == "" {
		s.Bridge = "br-" + n.ID[:12]
	}
	return nil
}

func (c *Controller) takenSubnets() ([]netip.Prefix, error) {
	taken, err := routedSubnets(c.host)
	if err != nil {
		return nil, err
	}
	networks, err := c.Networks()
	for _, n := range networks {
		taken = append(taken, n.subnets()...)
	}
	return taken, err
}

func (n *Network) subnets() []netip.Prefix {
	if n.Spec.Subnet6.IsValid() {
		return []netip.Prefix{n.Spec.Subnet, n.Spec.Subnet6}
	}
	return []netip.Prefix{n.Spec.Subnet}
}

func (n *Network) gatewayFor(sub netip.Prefix) netip.Addr {
	if sub.Addr().Is4() {
		return n.Spec.Gateway
	}
	return n.Spec.Gateway6
}

// build makes the parts in the order in which they need each other. The record comes first: should
// this process die half way, Delete knows what to look for.
func (n *Network) build() (err error) {
	if _, err := LinkByName(n.c.host, n.Spec.Bridge); err == nil {
		return &Error{Op: "create bridge", Subject: n.Spec.Bridge, Err: errors.Join(ErrNameTaken, unix.EEXIST)}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.tearDown())
		}
	}()
	if err := writeRecord(n.recordPath(), n); err != nil {
		return wrap("create network", n.Spec.Name, err)
	}
	for _, dir := range []string{"endpoints", "joined", "names"} {
		if err := os.MkdirAll(n.c.path(dir, n.Spec.Name), 0o700); err != nil {
			return wrap("create network", n.Spec.Name, err)
		}
	}
	if err := CreateBridge(n.c.host, BridgeSpec{Name: n.Spec.Bridge, MTU: n.Spec.MTU}); err != nil {
		return err
	}
	for _, sub := range n.subnets() {
		if err := n.addSubnet(sub); err != nil {
			return err
		}
	}
	return nil
}

func (n *Network) addSubnet(sub netip.Prefix) error {
	pool, err := n.pool(sub)
	if err != nil {
		return err
	}
	gateway := n.gatewayFor(sub)
	if _, err := pool.Request("gateway of "+n.Spec.Name, gateway); err != nil {
		return err
	}
	if err := AddAddress(n.c.host, n.Spec.Bridge, netip.PrefixFrom(gateway, sub.Bits())); err != nil {
		return err
	}
	if err := n.setForwarding(sub); err != nil {
		return err
	}
	if err := ensureFrame(n.c.host, familyOf(gateway)); err != nil {
		return err
	}
	return addRules(n.c.host, networkRules(n.Spec.Bridge, sub, n.Spec.Internal, !n.Spec.Proxy))
}

// setForwarding makes the host a router: without it a packet that is not for the host is dropped.
// It stays on when the network goes, as with Docker: others may rely on it by then.
func (n *Network) setForwarding(sub netip.Prefix) error {
	if n.Spec.Internal {
		return nil
	}
	if sub.Addr().Is6() {
		return WriteSysctl(n.c.host, "net.ipv6.conf.all.forwarding", "1")
	}
	if err := WriteSysctl(n.c.host, "net.ipv4.ip_forward", "1"); err != nil || n.Spec.Proxy {
		return err
	}
	// A packet from 127.0.0.1 that DNAT sends to a container is "martian" unless this is set.
	return WriteSysctl(n.c.host, "net.ipv4.conf."+n.Spec.Bridge+".route_localnet", "1")
}

func (n *Network) pool(sub netip.Prefix) (*Pool, error) {
	p, err := OpenPool(n.c.path("pools"), sub)
	if err == nil && n.Spec.Range.IsValid() && sub == n.Spec.Subnet {
		p.Range = n.Spec.Range.Masked()
	}
	return p, err
}

func (n *Network) recordPath() string { return n.c.path("networks", n.Spec.Name+".json") }

// Delete removes the network. ErrInUse, naming the endpoints, while there are any. A bridge that
// someone has deleted already is no obstacle.
func (n *Network) Delete() error {
	return locked(n.c.path("networks"), func() error {
		endpoints, err := n.endpointNames()
		if err != nil {
			return err
		}
		if len(endpoints) > 0 {
			return &Error{Op: "delete network", Subject: n.Spec.Name + " with " + strings.Join(n.called(endpoints), ", "), Err: ErrInUse}
		}
		return n.tearDown()
	})
}

// tearDown undoes build in reverse. The record goes last, and only when all else is gone.
func (n *Network) tearDown() error {
	errs := []error{deleteRules(n.c.host, networkOwner(n.Spec.Bridge))}
	errs = append(errs, DeleteLink(n.c.host, n.Spec.Bridge))
	for _, sub := range n.subnets() {
		pool, err := n.pool(sub)
		if err == nil {
			err = errors.Join(n.sweep(pool), pool.Release(n.gatewayFor(sub)), pool.Remove())
		}
		errs = append(errs, err)
	}
	errs = append(errs, n.removeFolders(), deleteFrame(n.c.host))
	if err := errors.Join(errs...); err != nil {
		return wrap("delete network", n.Spec.Name, err)
	}
	return wrap("delete network", n.Spec.Name, removeRecord(n.recordPath()))
}

func (n *Network) removeFolders() error {
	endpoints := n.c.path("endpoints", n.Spec.Name)
	halves, err := filepath.Glob(beside(filepath.Join(endpoints, "*"))) // of makers that were killed
	for _, half := range halves {
		err = errors.Join(err, gone(os.Remove(half)))
	}
	return errors.Join(err,
		gone(os.Remove(filepath.Join(endpoints, ".lock"))), gone(os.Remove(endpoints)),
		gone(os.Remove(n.c.path("joined", n.Spec.Name))), gone(os.Remove(n.c.path("names", n.Spec.Name))))
}

// called says what endpoints are called at the moment.
func (n *Network) called(names []string) []string {
	all := slices.Clone(names)
	for i := range all {
		if e, err := n.Endpoint(all[i]); err == nil {
			all[i] = e.DNSName
		}
	}
	return all
}

func (n *Network) endpointNames() ([]string, error) {
	names, err := claims{n.c.path("endpoints", n.Spec.Name)}.names()
	for i := range names {
		names[i] = strings.TrimSuffix(names[i], ".json")
	}
	return names, wrap("list endpoints", n.Spec.Name, err)
}
