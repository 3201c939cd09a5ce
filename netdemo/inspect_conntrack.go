package netdemo

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"cutaway/internal/netdump"
)

// Flow is one connection that conntrack remembers: how its packets look on the way there, and how
// the answers look that belong to it. Where the two are not mirror images, an address was translated.
type Flow struct {
	Proto   string // "tcp", "udp", "icmp"
	Origin  Tuple
	Reply   Tuple
	Packets uint64 // both directions; 0 unless net.netfilter.nf_conntrack_acct is 1
}

// Tuple is one direction of a flow.
type Tuple struct{ Src, Dst netip.AddrPort }

// SNAT tells whether the source was rewritten (masquerade), DNAT whether the destination was.
func (f Flow) SNAT() bool { return f.Reply.Dst.Addr() != f.Origin.Src.Addr() }

// DNAT tells whether the destination was rewritten.
func (f Flow) DNAT() bool { return f.Reply.Src != f.Origin.Dst && f.Reply.Src.Addr().IsValid() }

// String is written as conntrack(8) does.
func (f Flow) String() string {
	return fmt.Sprintf("%s %v => %v  reply %v => %v", f.Proto, f.Origin.Src, f.Origin.Dst, f.Reply.Src, f.Reply.Dst)
}

// Flows lists the connections that the kernel tracks in ns: ctnetlink's dump, as "conntrack -L" does.
func Flows(ns *Namespace) ([]Flow, error) {
	var out []Flow
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		list, err := netdump.Whole(func() ([]*netlink.ConntrackFlow, error) {
			return ns.nl.ConntrackTableList(netlink.ConntrackTable, family)
		})
		if err != nil {
			return nil, wrap("list flows", ns.path, err)
		}
		for _, f := range list {
			out = append(out, Flow{Proto: protocolName(f.Forward.Protocol), Origin: tuple(f.Forward), Reply: tuple(f.Reverse),
				Packets: f.Forward.Packets + f.Reverse.Packets})
		}
	}
	return out, nil
}

func tuple(t netlink.IPTuple) Tuple {
	return Tuple{Src: netip.AddrPortFrom(toAddr(t.SrcIP), t.SrcPort), Dst: netip.AddrPortFrom(toAddr(t.DstIP), t.DstPort)}
}
