package netdemo

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
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

// fromNeighbour wants the next hop's MAC, and the right one.
func (w *walker) fromNeighbour() error {
	if w.link.Name == "lo" || w.local {
		return nil
	}
	return w.neighbour("from", w.path.From, w.link, w.nextHop)
}

func (w *walker) neighbour(where string, ns *Namespace, link Link, hop netip.Addr) error {
	n, err := resolve(ns, link.Index, hop)
	if err != nil {
		return err
	}
	holder, mac := w.holderOf(hop)
	switch {
	case n.MAC == nil && holder == "":
		w.broken("neighbour", where, "give the address to the link that should have it", "nobody answers for %s, and no link here has that address", hop)
	case n.MAC == nil:
		w.broken("neighbour", where, "look: tcpdump -e arp on both sides", "%s does not answer, although %s has it", hop, holder)
	case mac != nil && mac.String() != n.MAC.String():
		w.broken("neighbour", where, fmt.Sprintf("ip neigh del %s dev %s", hop, link.Name),
			"%s is taken to be at %s (%s), but %s has %s", hop, n.MAC, n.State, holder, mac)
	default:
		w.ok("neighbour", where, "%s is at %s (%s)", hop, n.MAC, n.State)
	}
	return nil
}

// resolve makes the kernel ask for the address, and waits for what comes of it.
func resolve(ns *Namespace, link int, hop netip.Addr) (Neighbour, error) {
	ns.Do(func() error {
		c, err := net.Dial("udp", netip.AddrPortFrom(hop, 9).String())
		if err == nil {
			c.Write(nil)
			c.Close()
		}
		return err
	})
	var last Neighbour
	for range 24 {
		list, err := Neighbours(ns)
		if err != nil {
			return last, err
		}
		for _, n := range list {
			if n.Link == link && n.Addr == hop {
				last = n
			}
		}
		if last.MAC != nil && last.State != "FAILED" || last.State == "FAILED" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if last.State == "FAILED" || last.State == "INCOMPLETE" {
		last.MAC = nil
	}
	return last, nil
}

// holderOf looks for the address in the namespaces that are known: which link has it, and its MAC.
func (w *walker) holderOf(addr netip.Addr) (link string, mac net.HardwareAddr) {
	for _, ns := range []*Namespace{w.path.Host, w.path.To, w.path.FarHost} {
		if ns == nil {
			continue
		}
		addrs, _ := Addresses(ns)
		for _, a := range addrs {
			if a.Prefix.Addr() != addr {
				continue
			}
			if l, err := ns.nl.LinkByIndex(a.Link); err == nil {
				return l.Attrs().Name, l.Attrs().HardwareAddr
			}
		}
	}
	return "", nil
}

// overlay looks at the VXLAN, when the bridge has one and the other end is not on this host.
func (w *walker) overlay() error {
	if w.path.FarHost == nil || w.path.To == nil || w.inLink == "" {
		return nil
	}
	vxlan, err := vxlanPort(w.path.Host, w.inLink)
	if err != nil {
		return err
	}
	w.bridged = true
	if vxlan == nil {
		w.broken("link", "host", "make a vxlan link and set its master to "+w.inLink, "the bridge %s has no vxlan port to the other host", w.inLink)
		return nil
	}
	if !vxlan.Up {
		w.broken("link", "host", "ip link set "+vxlan.Name+" up", "%s is down", vxlan.Name)
		return nil
	}
	if w.link.MTU > vxlan.MTU {
		w.broken("mtu", "from", fmt.Sprintf("ip link set %s mtu %d", w.link.Name, vxlan.MTU),
			"%s has mtu %d but %s only %d: larger frames vanish", w.link.Name, w.link.MTU, vxlan.Name, vxlan.MTU)
		return nil
	}
	if err := w.sameVNI(*vxlan); err != nil || w.found.Broken() != nil {
		return err
	}
	return w.remoteEntry(*vxlan)
}

func vxlanPort(host *Namespace, bridge string) (*Link, error) {
	ports, err := BridgePorts(host, bridge)
	for _, l := range ports {
		if l.VXLAN != nil {
			return &l, err
		}
	}
	return nil, err
}

func (w *walker) sameVNI(near Link) error {
	links, err := Links(w.path.FarHost)
	for _, l := range links {
		if l.VXLAN != nil && (l.VXLAN.VNI != near.VXLAN.VNI || l.VXLAN.Port != near.VXLAN.Port) {
			w.broken("link", "far host", "make both with one VNI and port", "the VXLANs differ: vni %d port %d here, vni %d port %d there",
				near.VXLAN.VNI, near.VXLAN.Port, l.VXLAN.VNI, l.VXLAN.Port)
		}
	}
	return err
}

// remoteEntry wants the other container's MAC in the forwarding table, with a host that is reachable.
func (w *walker) remoteEntry(vxlan Link) error {
	_, mac := w.holderOf(w.dst.Addr())
	table, err := ForwardingTable(w.path.Host)
	if err != nil {
		return err
	}
	for _, e := range table {
		if e.Link != vxlan.Index || e.MAC.String() != mac.String() || !e.Remote.IsValid() {
			continue
		}
		if _, err := RouteTo(w.path.Host, e.Remote); err != nil {
			w.broken("route", "host", "ip route add", "no route on the underlay to %s, where %s is said to be", e.Remote, mac)
			return nil
		}
		return w.remoteIsRight(e, vxlan)
	}
	w.broken("forwarding", "host", fmt.Sprintf("bridge fdb append %s dev %s dst HOST", mac, vxlan.Name),
		"the forwarding table of %s has no host for %s", vxlan.Name, mac)
	return nil
}

func (w *walker) remoteIsRight(e ForwardingEntry, vxlan Link) error {
	addrs, err := Addresses(w.path.FarHost)
	for _, a := range addrs {
		if a.Prefix.Addr() == e.Remote {
			w.ok("forwarding", "host", "%s sends frames for %s to %s", vxlan.Name, e.MAC, e.Remote)
			return nil
		}
	}
	w.broken("forwarding", "host", fmt.Sprintf("bridge fdb replace %s dev %s dst HOST", e.MAC, vxlan.Name),
		"%s sends frames for %s to %s, which is not the host that it is on", vxlan.Name, e.MAC, e.Remote)
	return err
}
