package netdemo

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"cutaway/internal/netdump"
)

// Route is one line of a route table.
type Route struct {
	Dst     netip.Prefix // 0.0.0.0/0 or ::/0 is the default route
	Gateway netip.Addr   // not valid: the destination is on the link itself
	Source  netip.Addr   // the address that a socket without one gets
	Link    int
	Table   int    // unix.RT_TABLE_MAIN, or RT_TABLE_LOCAL for this namespace's own addresses
	Kind    string // "unicast", "local", "broadcast", "unreachable" ...
}

// Routes lists the main and the local table of ns, both families: RTM_GETROUTE.
func Routes(ns *Namespace) ([]Route, error) {
	var out []Route
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, err := netdump.Whole(func() ([]netlink.Route, error) {
			// A filter with table 0 means every table, not only the main one.
			return ns.nl.RouteListFiltered(family, &netlink.Route{}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return nil, wrap("list routes", ns.path, err)
		}
		for _, r := range list {
			out = append(out, readRoute(r, family))
		}
	}
	return out, nil
}

func readRoute(r netlink.Route, family int) Route {
	dst := toPrefix(r.Dst)
	if !dst.IsValid() {
		dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if family == netlink.FAMILY_V6 {
			dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
	}
	return Route{Dst: dst, Gateway: toAddr(r.Gw), Source: toAddr(r.Src), Link: r.LinkIndex, Table: r.Table, Kind: routeKind(r.Type)}
}

func routeKind(n int) string {
	kinds := []string{"unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit"}
	if n < len(kinds) {
		return kinds[n]
	}
	return "other"
}

// RouteTo asks the kernel which route a packet from ns to dst would take: ip route get. The error of
// an unreachable destination is the kernel's (unix.ENETUNREACH and its like).
func RouteTo(ns *Namespace, dst netip.Addr) (Route, error) {
	return routeFor(ns, dst, nil)
}

// routeFor asks for a packet that came in over a link from a source: the forwarding decision.
func routeFor(ns *Namespace, dst netip.Addr, options *netlink.RouteGetOptions) (Route, error) {
	list, err := ns.nl.RouteGetWithOptions(dst.AsSlice(), options)
	if err != nil || len(list) == 0 {
		return Route{}, wrap("look up route to", dst.String(), err)
	}
	family := netlink.FAMILY_V4
	if dst.Is6() {
		family = netlink.FAMILY_V6
	}
	return readRoute(list[0], family), nil
}

// Neighbour is one line of the ARP or NDP table.
type Neighbour struct {
	Link  int
	Addr  netip.Addr
	MAC   net.HardwareAddr
	State string // "REACHABLE", "STALE", "FAILED" ...
}

// Neighbours lists the neighbours of ns, both families: RTM_GETNEIGH, as "ip neigh" does.
func Neighbours(ns *Namespace) ([]Neighbour, error) {
	list, err := netdump.Whole(func() ([]netlink.Neigh, error) { return ns.nl.NeighList(0, unix.AF_UNSPEC) })
	if err != nil {
		return nil, wrap("list neighbours", ns.path, err)
	}
	var out []Neighbour
	for _, n := range list {
		if n.State != netlink.NUD_NOARP {
			out = append(out, Neighbour{Link: n.LinkIndex, Addr: toAddr(n.IP), MAC: n.HardwareAddr, State: neighbourState(n.State)})
		}
	}
	return out, nil
}

func neighbourState(n int) string {
	return map[int]string{netlink.NUD_INCOMPLETE: "INCOMPLETE", netlink.NUD_REACHABLE: "REACHABLE", netlink.NUD_STALE: "STALE",
		netlink.NUD_DELAY: "DELAY", netlink.NUD_PROBE: "PROBE", netlink.NUD_FAILED: "FAILED", netlink.NUD_PERMANENT: "PERMANENT"}[n]
}

// ForwardingEntry is one line of a bridge's or vxlan's forwarding database: the MAC is behind the link,
// and for a vxlan, at the remote host.
type ForwardingEntry struct {
	Link   int // the port
	Master int // the bridge, or 0 for an entry of the vxlan's own table
	MAC    net.HardwareAddr
	Remote netip.Addr // vxlan: where to send the frame
	State  string     // "permanent" for the port's own MAC and for what was told, "" for what was learned
}

// ForwardingTable lists the forwarding databases of ns: RTM_GETNEIGH in family AF_BRIDGE, as "bridge
// fdb" does.
func ForwardingTable(ns *Namespace) ([]ForwardingEntry, error) {
	list, err := netdump.Whole(func() ([]netlink.Neigh, error) { return ns.nl.NeighList(0, unix.AF_BRIDGE) })
	if err != nil {
		return nil, wrap("list forwarding table", ns.path, err)
	}
	var out []ForwardingEntry
	for _, n := range list {
		e := ForwardingEntry{Link: n.LinkIndex, Master: n.MasterIndex, MAC: n.HardwareAddr, Remote: toAddr(n.IP)}
		if n.State&(netlink.NUD_PERMANENT|netlink.NUD_NOARP) != 0 {
			e.State = "permanent"
		}
		out = append(out, e)
	}
	return out, nil
}

// BridgePorts lists the links whose master is the bridge.
func BridgePorts(ns *Namespace, bridge string) ([]Link, error) {
	b, err := LinkByName(ns, bridge)
	if err != nil {
		return nil, err
	}
	links, err := Links(ns)
	var ports []Link
	for _, l := range links {
		if l.Master == b.Index {
			ports = append(ports, l)
		}
	}
	return ports, err
}
