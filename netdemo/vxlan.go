package netdemo

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// VXLANOverhead is what wrapping costs, in bytes, over IPv4: outer IP 20, UDP 8, VXLAN 8, inner
// Ethernet 14. Containers on an overlay need an MTU that much smaller than the underlay's.
const VXLANOverhead = 50

// VXLANSpec describes one host's end of an overlay network.
type VXLANSpec struct {
	Name   string
	VNI    int        // 24 bits: which overlay a frame belongs to
	Local  netip.Addr // this host's address on the underlay
	Port   int        // 0 is 4789
	MTU    int        // bytes; 0 leaves what the kernel works out
	Bridge string     // that the link becomes a port of; "" for none
}

// CreateVXLAN makes a vxlan link: RTM_NEWLINK, kind "vxlan". It does not learn: where a MAC is, it is
// told by AddRemote. A learning one would have to flood to find out, and believe whoever answers.
func CreateVXLAN(host *Namespace, spec VXLANSpec) error {
	if spec.Port == 0 {
		spec.Port = 4789
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.Flags = spec.Name, spec.MTU, net.FlagUp
	if spec.Bridge != "" {
		bridge, err := host.nl.LinkByName(spec.Bridge)
		if err != nil {
			return &Error{Op: "find bridge", Subject: spec.Bridge, Err: linkGone(err)}
		}
		attrs.MasterIndex = bridge.Attrs().Index
	}
	subject := fmt.Sprintf("%s vni %d local %s port %d", spec.Name, spec.VNI, spec.Local, spec.Port)
	return wrap("create vxlan", subject, host.nl.LinkAdd(&netlink.Vxlan{LinkAttrs: attrs, VxlanId: spec.VNI,
		SrcAddr: spec.Local.AsSlice(), Port: spec.Port, Learning: false}))
}

// Remote is a container on another host of the overlay.
type Remote struct {
	Addr netip.Addr       // its address on the overlay; not valid to leave the ARP answer out
	MAC  net.HardwareAddr // of its interface
	Host netip.Addr       // the underlay address of the host that it is on
}

// AddRemote tells the vxlan link where a container is: an entry of the forwarding table (MAC behind
// HOST), as "bridge fdb replace MAC dev LINK dst HOST" makes. A container that has moved is overwritten.
func AddRemote(host *Namespace, link string, r Remote) error {
	return onLink(host, fmt.Sprintf("add remote %s at %s to", r.MAC, r.Host), link, func(l netlink.Link) error {
		return host.nl.NeighSet(remoteEntry(l, r))
	})
}

// RemoveRemote takes the entry out again. One that is not there is no error.
func RemoveRemote(host *Namespace, link string, r Remote) error {
	return onLink(host, fmt.Sprintf("remove remote %s at %s from", r.MAC, r.Host), link, func(l netlink.Link) error {
		if err := host.nl.NeighDel(remoteEntry(l, r)); err != unix.ENOENT {
			return err
		}
		return nil
	})
}

// AddFlood has frames for everyone (broadcast, ARP requests, MACs without an entry) sent to a host
// too: the entry for the MAC of zeroes may stand several times, once for each host.
func AddFlood(host *Namespace, link string, remote netip.Addr) error {
	return onLink(host, "add flood to "+remote.String()+" to", link, func(l netlink.Link) error {
		entry := remoteEntry(l, Remote{MAC: make(net.HardwareAddr, 6), Host: remote})
		return host.nl.NeighAppend(entry)
	})
}

// RemoveFlood undoes AddFlood.
func RemoveFlood(host *Namespace, link string, remote netip.Addr) error {
	return RemoveRemote(host, link, Remote{MAC: make(net.HardwareAddr, 6), Host: remote})
}

func remoteEntry(l netlink.Link, r Remote) *netlink.Neigh {
	return &netlink.Neigh{LinkIndex: l.Attrs().Index, Family: unix.AF_BRIDGE, Flags: netlink.NTF_SELF,
		State: netlink.NUD_PERMANENT, HardwareAddr: r.MAC, IP: r.Host.AsSlice()}
}
