package netdemo

import (
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"cutaway/internal/netdump"
)

// Link is a network device as RTM_GETLINK describes it.
type Link struct {
	Index     int
	Name      string
	Kind      string // "veth", "bridge", "vxlan", "device" (lo, hardware) ...
	MAC       net.HardwareAddr
	MTU       int
	Up        bool   // IFF_UP: someone wants it up
	Carrier   bool   // IFF_LOWER_UP: the other end is there and up too
	State     string // IFLA_OPERSTATE: "up", "down", "lowerlayerdown", "unknown"
	Master    int    // index of the bridge that it is a port of; 0 for none
	Peer      int    // IFLA_LINK: index of a veth's other end, in that end's namespace; 0 for none
	PeerNetNS int    // IFLA_LINK_NETNSID: this namespace's number for the other one; -1: the same namespace
	RxPackets uint64
	RxBytes   uint64
	TxPackets uint64
	TxBytes   uint64
	Dropped   uint64 // both directions
	VXLAN     *VXLANInfo
}

// VXLANInfo is what only a vxlan link has.
type VXLANInfo struct {
	VNI      int
	Port     int
	Local    netip.Addr
	Learning bool
}

// Links lists the links of ns by index: RTM_GETLINK, as "ip -d -s link" does.
func Links(ns *Namespace) ([]Link, error) {
	list, err := netdump.Whole(ns.nl.LinkList)
	if err != nil {
		return nil, wrap("list links", ns.path, err)
	}
	links := make([]Link, 0, len(list))
	for _, l := range list {
		links = append(links, readLink(l))
	}
	slices.SortFunc(links, func(a, b Link) int { return a.Index - b.Index })
	return links, nil
}

// LinkByName reads one link. errors.Is(err, unix.ENODEV) when there is none of that name.
func LinkByName(ns *Namespace, name string) (Link, error) {
	l, err := ns.nl.LinkByName(name)
	if err != nil {
		return Link{}, &Error{Op: "read link", Subject: name, Err: linkGone(err)}
	}
	return readLink(l), nil
}

// readLink takes carrier from IFF_LOWER_UP and not from IFF_RUNNING, which follows the link's state up
// to a second late.
func readLink(l netlink.Link) Link {
	a := l.Attrs()
	out := Link{Index: a.Index, Name: a.Name, Kind: l.Type(), MAC: a.HardwareAddr, MTU: a.MTU,
		Up: a.RawFlags&unix.IFF_UP != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0, State: a.OperState.String(),
		Master: a.MasterIndex, Peer: a.ParentIndex, PeerNetNS: a.NetNsID}
	if s := a.Statistics; s != nil {
		out.RxPackets, out.RxBytes, out.TxPackets, out.TxBytes = s.RxPackets, s.RxBytes, s.TxPackets, s.TxBytes
		out.Dropped = s.RxDropped + s.TxDropped
	}
	if v, ok := l.(*netlink.Vxlan); ok {
		out.VXLAN = &VXLANInfo{VNI: v.VxlanId, Port: v.Port, Local: toAddr(v.SrcAddr), Learning: v.Learning}
	}
	return out
}

// Peer finds the other end of a veth among the given namespaces (nil ones are passed over): the link
// there whose index is in our IFLA_LINK, and whose IFLA_LINK is our index. Indexes begin at 1 in every
// namespace, so alone they may fit a stranger; the kernel's number for the peer's namespace decides.
func Peer(ns *Namespace, link Link, among []*Namespace) (*Namespace, Link, error) {
	for _, other := range among {
		if other == nil || !ns.knowsAs(other, link.PeerNetNS) {
			continue
		}
		l, err := other.nl.LinkByIndex(link.Peer)
		if err == nil && l.Attrs().ParentIndex == link.Index {
			return other, readLink(l), nil
		}
	}
	return nil, Link{}, &Error{Op: "find peer of", Subject: link.Name, Err: ErrNotFound}
}

// knowsAs asks for this namespace's number for other: RTM_GETNSID. -1 is this namespace itself.
func (n *Namespace) knowsAs(other *Namespace, id int) bool {
	if id < 0 {
		a, errA := n.Inode()
		b, errB := other.Inode()
		return errA == nil && errB == nil && a == b
	}
	got, err := n.nl.GetNetNsIdByFd(other.Fd())
	return err == nil && got == id
}

// Address is an address on a link.
type Address struct {
	Link   int
	Prefix netip.Prefix
	Scope  string // "global", "link", "host"
}

// Addresses lists the addresses of ns, both families: RTM_GETADDR.
func Addresses(ns *Namespace) ([]Address, error) {
	list, err := netdump.Whole(func() ([]netlink.Addr, error) { return ns.nl.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, wrap("list addresses", ns.path, err)
	}
	var out []Address
	for _, a := range list {
		out = append(out, Address{Link: a.LinkIndex, Prefix: toPrefix(a.IPNet), Scope: scopeName(a.Scope)})
	}
	return out, nil
}

func scopeName(n int) string {
	return map[int]string{unix.RT_SCOPE_UNIVERSE: "global", unix.RT_SCOPE_LINK: "link", unix.RT_SCOPE_HOST: "host"}[n]
}
