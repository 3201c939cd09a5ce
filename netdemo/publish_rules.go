package netdemo

import (
	"net/netip"

	"github.com/vishvananda/netlink"
)

// PublishByDNAT sends what comes to a port of the host on to a container: NFT_MSG_NEWRULE. The first packet of
// a connection gets another destination; conntrack does the same to all later ones, and the reverse to the
// answers. What comes from the bridge itself or goes to 127.0.0.0/8 is left alone, for the proxy: see
// [StartProxy], and [Hairpin] for how to do without one. [Network.Connect] has these rules among others; here
// they are alone, to be looked at.
//
//	nft add rule ip cutaway publish iifname != BRIDGE ip daddr != 127.0.0.0/8 tcp dport PORT counter dnat to TARGET
func PublishByDNAT(host *Namespace, bridge string, p PortSpec, target netip.Addr) error {
	if err := ensureFrame(host, familyOf(target)); err != nil {
		return err
	}
	return addRules(host, portRules(bridge, portOwner(p), netip.Prefix{}, target, p, false))
}

// Hairpin publishes the port to those whom PublishByDNAT leaves out: the neighbours on the bridge, the container
// itself, and the host's own loopback. Their source address is masqueraded, so that the answer comes back
// through the host; port is the bridge port of the container, which may send a frame back out of where it came
// in (IFLA_BRPORT_MODE); and packets from 127.0.0.1 may leave for the bridge
// (net.ipv4.conf.BRIDGE.route_localnet). IPv4 only: ::1 has no such switch.
func Hairpin(host *Namespace, bridge, port string, sub netip.Prefix, p PortSpec, target netip.Addr) error {
	if !target.Is4() {
		return &Error{Op: "publish with hairpin", Subject: target.String() + " (want an IPv4 address)", Err: ErrInvalid}
	}
	if err := ensureFrame(host, familyOf(target)); err != nil {
		return err
	}
	if err := SetHairpin(host, port, true); err != nil {
		return err
	}
	if err := WriteSysctl(host, "net.ipv4.conf."+bridge+".route_localnet", "1"); err != nil {
		return err
	}
	return addRules(host, append(portRules(bridge, portOwner(p), sub, target, p, true), hairpinRule(bridge, target)))
}

// portOwner is in the comments of rules that belong to a port and to no endpoint of a controller.
func portOwner(p PortSpec) string { return "port " + p.String() }

// HairpinOf reads the mode of a bridge port back: RTM_GETLINK in family AF_BRIDGE, as "bridge -d link" does.
func HairpinOf(ns *Namespace, port string) (on bool, err error) {
	err = onLink(ns, "read hairpin of", port, func(l netlink.Link) error {
		info, err := ns.nl.LinkGetProtinfo(l)
		on = info.Hairpin
		return err
	})
	return on, err
}
