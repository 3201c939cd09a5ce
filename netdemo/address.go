package netdemo

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// AddAddress puts an address with its prefix length on a link: RTM_NEWADDR. The kernel adds the
// route to the subnet by itself. An IPv6 address is added without duplicate detection (IFA_F_NODAD):
// the pool has ruled duplicates out, and a tentative address cannot be used for a second or two.
func AddAddress(ns *Namespace, link string, addr netip.Prefix) error {
	return onLink(ns, "add address "+addr.String()+" to", link, func(l netlink.Link) error {
		a := &netlink.Addr{IPNet: ipNet(addr)}
		if addr.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		return ns.nl.AddrAdd(l, a)
	})
}

// AddDefaultRoute sends everything that no other route covers to gateway: RTM_NEWROUTE.
func AddDefaultRoute(ns *Namespace, gateway netip.Addr) error {
	return AddRoute(ns, netip.PrefixFrom(unspecified(gateway), 0), gateway, "")
}

// AddRoute sends packets for dst to a gateway, or, without one, straight onto a link.
func AddRoute(ns *Namespace, dst netip.Prefix, gateway netip.Addr, link string) error {
	route, subject := &netlink.Route{Dst: ipNet(dst)}, dst.String()
	if gateway.IsValid() {
		route.Gw = gateway.AsSlice()
		subject += " via " + gateway.String()
	}
	if link != "" {
		subject += " dev " + link
		l, err := ns.nl.LinkByName(link)
		if err != nil {
			return &Error{Op: "add route", Subject: subject, Err: linkGone(err)}
		}
		route.LinkIndex = l.Attrs().Index
	}
	return wrap("add route", subject, ns.nl.RouteAdd(route))
}

// AddNeighbour pins an address to a MAC (NUD_PERMANENT), so that it need not be asked for: RTM_NEWNEIGH.
func AddNeighbour(ns *Namespace, link string, addr netip.Addr, mac net.HardwareAddr) error {
	return onLink(ns, "add neighbour "+addr.String()+" to", link, func(l netlink.Link) error {
		return ns.nl.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT,
			IP: addr.AsSlice(), HardwareAddr: mac})
	})
}

func unspecified(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// ipNet keeps the host part of the address, which netip.Prefix.Masked would cut off.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func toAddr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

func toPrefix(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(toAddr(n.IP), ones)
}
