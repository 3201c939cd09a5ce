package netdemo

import (
	"net"
	"net/netip"
)

// MACFor makes the hardware address that Docker gives to a container: 02:42 and the four bytes of
// its IPv4 address (172.18.0.2 is 02:42:ac:12:00:02). Bit 1 of the first byte marks the address as
// locally administered. Unique in the subnet as the address is, and foreseeable: when a lease
// passes to a new container, the neighbours' old ARP entries are right for it too.
func MACFor(addr netip.Addr) net.HardwareAddr {
	b := addr.As4()
	return net.HardwareAddr{0x02, 0x42, b[0], b[1], b[2], b[3]}
}
