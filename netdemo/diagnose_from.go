package netdemo

import (
	"fmt"
	"net/netip"
	"slices"
)

// fromLink finds a link to leave by. It stands before the route, because the kernel takes the routes
// of a link away when it goes down: "no route" would be true, and not the cause.
func (w *walker) fromLink() error {
	links, err := Links(w.path.From)
	if err != nil {
		return err
	}
	if w.path.Dst.Addr().IsLoopback() {
		return w.upAndRunning(links[:1])
	}
	links = slices.DeleteFunc(links, func(l Link) bool { return l.Name == "lo" })
	if len(links) == 0 {
		w.broken("link", "from", "connect it to a network", "only lo is there: a namespace without a network")
		return nil
	}
	return w.upAndRunning(links)
}

// upAndRunning wants one link that is up on both ends; which one is used, the route will say.
func (w *walker) upAndRunning(links []Link) error {
	for _, l := range links {
		if l.Up && l.Carrier {
			w.ok("link", "from", "%s is up", l.Name)
			return nil
		}
	}
	l := links[0]
	if !l.Up {
		w.broken("link", "from", "ip link set "+l.Name+" up", "%s is down", l.Name)
		return nil
	}
	_, peer, err := Peer(w.path.From, l, []*Namespace{w.path.Host, w.path.From})
	if err != nil {
		w.broken("link", "from", "look at the other end of the pair", "%s has no carrier, and its other end is not on the host", l.Name)
		return nil
	}
	w.broken("link", "host", "ip link set "+peer.Name+" up", "%s, the other end of %s, is down", peer.Name, l.Name)
	return nil
}

// fromAddress wants any address of the right family that others can answer to.
func (w *walker) fromAddress() error {
	addrs, err := Addresses(w.path.From)
	if err != nil {
		return err
	}
	dst := w.path.Dst.Addr()
	for _, a := range addrs {
		if a.Prefix.Addr().Is4() == dst.Is4() && (a.Scope == "global" || dst.IsLoopback()) {
			w.ok("address", "from", "%s", a.Prefix)
			return nil
		}
	}
	w.broken("address", "from", "ip addr add ADDRESS/LEN dev eth0", "no %s address", familyWord(dst))
	return nil
}

func familyWord(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// fromRoute asks the kernel where it would send the packet.
func (w *walker) fromRoute() error {
	dst := w.path.Dst.Addr()
	w.dst = w.path.Dst
	r, err := RouteTo(w.path.From, dst)
	if err != nil {
		w.broken("route", "from", "ip route add default via GATEWAY", "no route to %s (%v)", dst, unwrapErrno(err))
		return nil
	}
	w.src, w.nextHop = r.Source, dst
	if r.Gateway.IsValid() {
		w.nextHop = r.Gateway
	}
	l, err := w.path.From.nl.LinkByIndex(r.Link)
	if err != nil {
		return wrap("read link", fmt.Sprint(r.Link), linkGone(err))
	}
	w.link = readLink(l)
	w.local = r.Kind == "local" && w.fromHost()
	w.ok("route", "from", "to %s: next hop %s by %s, source %s", dst, w.nextHop, w.link.Name, w.src)
	if w.link.Name != "lo" && (!w.link.Up || !w.link.Carrier) {
		w.broken("link", "from", "ip link set "+w.link.Name+" up", "%s, which the route leads to, is down", w.link.Name)
	}
	return nil
}

func unwrapErrno(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || u.Unwrap() == nil {
			return err
		}
		err = u.Unwrap()
	}
}

// fromPeer crosses the veth pair: its host end must be there, up, and a port of a bridge that is up.
func (w *walker) fromPeer() error {
	if w.fromHost() || w.link.Name == "lo" || w.link.Kind != "veth" {
		w.inLink = ""
		return nil
	}
	ns, peer, err := Peer(w.path.From, w.link, []*Namespace{w.path.Host, w.path.To})
	if err != nil {
		w.broken("link", "host", "was the container connected to another host?", "the other end of %s is not on the host", w.link.Name)
		return nil
	}
	if ns == w.path.To {
		w.ok("link", "to", "%s is the other end of %s", peer.Name, w.link.Name)
		w.bridged = true
		return nil
	}
	w.inLink = peer.Name
	if peer.Master == 0 {
		return w.needGatewayOn(peer)
	}
	bridge, err := w.path.Host.nl.LinkByIndex(peer.Master)
	if err != nil {
		return wrap("read bridge of", peer.Name, linkGone(err))
	}
	b := readLink(bridge)
	w.inLink = b.Name
	if !b.Up {
		w.broken("link", "host", "ip link set "+b.Name+" up", "the bridge %s is down", b.Name)
		return nil
	}
	w.ok("link", "host", "%s is a port of %s, which is up", peer.Name, b.Name)
	return nil
}

// needGatewayOn: a veth end that is on no bridge is right only when the next hop is that end itself.
func (w *walker) needGatewayOn(peer Link) error {
	addrs, err := Addresses(w.path.Host)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if a.Link == peer.Index && a.Prefix.Addr() == w.nextHop {
			w.ok("link", "host", "%s is the next hop itself", peer.Name)
			return nil
		}
	}
	w.broken("link", "host", "ip link set "+peer.Name+" master BRIDGE", "%s is a port of no bridge", peer.Name)
	return nil
}
