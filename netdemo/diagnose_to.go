package netdemo

import (
	"net/netip"
)

// toAddress: the place that the packet was brought to must have the address.
func (w *walker) toAddress() error {
	if w.path.To == nil || w.local {
		return nil
	}
	addrs, err := Addresses(w.path.To)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if a.Prefix.Addr() == w.dst.Addr() {
			w.ok("address", "to", "%s is there", a.Prefix)
			return nil
		}
	}
	w.broken("address", "to", "ip addr add", "%s is not an address of the destination", w.dst.Addr())
	return nil
}

// toListener: without a program at the port the kernel refuses.
func (w *walker) toListener() error {
	if w.path.To == nil || w.local || w.dst.Port() == 0 {
		return nil
	}
	found, err := listens(w.path.To, w.path.Proto, w.dst)
	if err != nil {
		return err
	}
	if !found {
		w.broken("listener", "to", "start the program, or have it listen on 0.0.0.0", "nothing listens on %s %s", w.path.Proto, w.dst)
		return nil
	}
	w.ok("listener", "to", "%s %s has a listener", w.path.Proto, w.dst)
	return nil
}

func listens(ns *Namespace, proto Protocol, at netip.AddrPort) (bool, error) {
	sockets, err := Sockets(ns)
	for _, s := range sockets {
		open := s.State == "LISTEN" || s.Proto == UDP && s.State == "CLOSE"
		covers := s.Local.Addr().IsUnspecified() || s.Local.Addr().Unmap() == at.Addr()
		if s.Proto == proto && open && covers && s.Local.Port() == at.Port() {
			return true, nil
		}
	}
	return false, err
}

// toRoute: the answer needs a way back to the source that the destination sees.
func (w *walker) toRoute() error {
	if w.path.To == nil || w.local {
		return nil
	}
	if _, err := RouteTo(w.path.To, w.src); err != nil {
		if w.routed() && !w.switched && !w.dnatted {
			w.broken("nat", "host", "masquerade: nft add rule ip TABLE postrouting ip saddr "+w.src.String()+" masquerade",
				"the packet arrives with source %s, which the destination has no route to: it should have been masqueraded", w.src)
			return nil
		}
		w.broken("route", "to", "ip route add default via GATEWAY", "the destination has no route back to %s (%v)", w.src, unwrapErrno(err))
		return nil
	}
	w.ok("route", "to", "there is a way back to %s", w.src)
	return nil
}
