package netdemo

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// defaultSubnets are those that Docker chooses from when none is asked for: 172.17.0.0/16 to
// 172.31.0.0/16, then 192.168.0.0/20 to 192.168.240.0/20.
func defaultSubnets() (all []netip.Prefix) {
	for b := byte(17); b < 32; b++ {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, b, 0, 0}), 16))
	}
	for c := 0; c < 256; c += 16 {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, byte(c), 0}), 20))
	}
	return all
}

// FreeSubnet chooses the first of Docker's default subnets that overlaps nothing in taken.
func FreeSubnet(taken []netip.Prefix) (netip.Prefix, error) {
	for _, candidate := range defaultSubnets() {
		if _, clash := overlapping(candidate, taken); !clash {
			return candidate, nil
		}
	}
	return netip.Prefix{}, &Error{Op: "choose subnet", Subject: "of 172.17.0.0/12 and 192.168.0.0/16", Err: ErrPoolExhausted}
}

func overlapping(p netip.Prefix, taken []netip.Prefix) (netip.Prefix, bool) {
	for _, t := range taken {
		if p.Overlaps(t) {
			return t, true
		}
	}
	return netip.Prefix{}, false
}

// routedSubnets are the subnets that the host reaches already. A container network laid over one of
// them would hide it: the more specific route wins. The default route covers all and hides nothing.
func routedSubnets(host *Namespace) ([]netip.Prefix, error) {
	routes, err := Routes(host)
	var all []netip.Prefix
	for _, r := range routes {
		if r.Dst.IsValid() && r.Dst.Bits() > 0 && r.Table == unix.RT_TABLE_MAIN {
			all = append(all, r.Dst)
		}
	}
	return all, err
}

// gatewayOf is the first address behind the subnet's own: where Docker puts the bridge.
func gatewayOf(subnet netip.Prefix) netip.Addr { return subnet.Masked().Addr().Next() }
