package netdemo

import (
	"errors"
	"net/netip"
)

// publish makes the endpoint's ports reachable from outside: each reserved, then its proxy, then its
// rules. What was published before one failed is noted in e.Joined, so that unpublish finds it.
func (e *Endpoint) publish(n *Network) error {
	for _, want := range e.Ports {
		got, err := e.c.ports().reserve(want, e.holder())
		if err != nil {
			return err
		}
		e.Joined.Published = append(e.Joined.Published, Published{PortSpec: got})
		last := &e.Joined.Published[len(e.Joined.Published)-1]
		if n.Spec.Proxy {
			proxy, err := StartProxy(e.c.host, got, netip.AddrPortFrom(e.Address, got.ContainerPort))
			if err != nil {
				return err
			}
			last.Proxy = &proxy
		}
		// Written down at once: from here on a later process can end the proxy and free the port.
		if err := writeRecord(e.joinedPath(), e.Joined); err != nil {
			return wrap("publish", got.String(), err)
		}
		if err := addRules(e.c.host, e.rulesFor(n, got)); err != nil {
			return err
		}
	}
	return nil
}

// rulesFor leaves out the family that the host address rules out.
func (e *Endpoint) rulesFor(n *Network, p PortSpec) (rules []plannedRule) {
	for _, sub := range n.subnets() {
		if p.HostIP.IsValid() && p.HostIP.Is4() != sub.Addr().Is4() {
			continue
		}
		rules = append(rules, portRules(n.Spec.Bridge, endpointOwner(e.ID), sub, e.addressIn(sub), p, !n.Spec.Proxy)...)
	}
	return rules
}

// unpublish undoes publish in reverse: no packet is sent to a proxy or a container that is going.
func (e *Endpoint) unpublish() error {
	if e.Joined == nil || len(e.Joined.Published) == 0 {
		return nil
	}
	errs := []error{deleteRules(e.c.host, endpointOwner(e.ID))}
	for _, p := range e.Joined.Published {
		if p.Proxy != nil {
			errs = append(errs, p.Proxy.Stop())
		}
		errs = append(errs, e.c.ports().free(p.PortSpec))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	e.Joined.Published = nil
	return nil
}
