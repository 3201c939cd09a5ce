package netdemo

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// NetworkSpec describes a network: docker network create.
type NetworkSpec struct {
	Name   string
	Bridge string       // name of the bridge; "br-" and 12 digits of the id when empty
	Subnet netip.Prefix // IPv4; a free one of Docker's default subnets when not valid
	// AnySubnet is set by CreateNetwork when it chose Subnet: another time it may be another one.
	AnySubnet bool         `json:",omitempty"`
	Range     netip.Prefix // the part of Subnet to hand out; all of it when not valid
	Gateway   netip.Addr   // the bridge's address; the first of Subnet when not valid
	Subnet6   netip.Prefix // IPv6; none when not valid
	Gateway6  netip.Addr   // the first of Subnet6 when not valid
	MTU       int          // bytes; 0 is the kernel's 1500
	Internal  bool         // no way in or out, not even a default route
	Proxy     bool         // publish with the userland proxy (Docker's default); else by DNAT alone, with hairpin
}

// Validate names everything that is wrong with the spec.
func (s NetworkSpec) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, prepend(ErrInvalid, args)...))
	}
	if !validName(s.Name) {
		bad("network name %q: letters, digits, and _ . - inside, at most 63", s.Name)
	}
	if len(s.Bridge) >= unix.IFNAMSIZ {
		bad("bridge name %q: the kernel takes at most %d bytes", s.Bridge, unix.IFNAMSIZ-1)
	}
	if s.Subnet.IsValid() && (!s.Subnet.Addr().Is4() || s.Subnet.Bits() > 30) {
		bad("subnet %s: an IPv4 subnet with room for a gateway and a container", s.Subnet)
	}
	if s.Subnet6.IsValid() && (!s.Subnet6.Addr().Is6() || s.Subnet6.Bits() > 126) {
		bad("subnet6 %s: an IPv6 subnet with room for a gateway and a container", s.Subnet6)
	}
	if s.Gateway.IsValid() && !s.Subnet.Contains(s.Gateway) {
		bad("gateway %s is not in subnet %s", s.Gateway, s.Subnet)
	}
	if s.Gateway6.IsValid() && !s.Subnet6.Contains(s.Gateway6) {
		bad("gateway6 %s is not in subnet6 %s", s.Gateway6, s.Subnet6)
	}
	if s.Range.IsValid() && (!s.Subnet.Contains(s.Range.Masked().Addr()) || s.Range.Bits() < s.Subnet.Bits()) {
		bad("range %s is not in subnet %s", s.Range, s.Subnet)
	}
	if s.MTU != 0 && s.MTU < 68 || s.Subnet6.IsValid() && s.MTU != 0 && s.MTU < 1280 {
		bad("mtu %d: IPv4 needs 68, IPv6 needs 1280", s.MTU)
	}
	return errors.Join(errs...)
}

func prepend(first any, rest []any) []any { return append([]any{first}, rest...) }

// EndpointSpec describes a container's place on a network: docker network connect.
type EndpointSpec struct {
	Name     string           // what it is found by: unique on the network, and a name in the DNS
	DNSName  string           // what its address is called; Name when empty. It may change: Rename
	Aliases  []string         // more names; several containers may have the same
	Address  netip.Addr       // asked for; the next free one when not valid
	Address6 netip.Addr       // the same for IPv6
	MAC      net.HardwareAddr // asked for; made from the address when nil
	Ports    []PortSpec       // published while joined
}

// Validate names everything that is wrong with the spec.
func (s EndpointSpec) Validate() error {
	var errs []error
	for _, name := range append([]string{s.Name, cmp.Or(s.DNSName, s.Name)}, s.Aliases...) {
		if !validName(name) {
			errs = append(errs, fmt.Errorf("%w: name %q: letters, digits, and _ . - inside, at most 63", ErrInvalid, name))
		}
	}
	if len(s.MAC) != 0 && (len(s.MAC) != 6 || s.MAC[0]&1 != 0) {
		errs = append(errs, fmt.Errorf("%w: MAC %s: six bytes, the first even", ErrInvalid, s.MAC))
	}
	for _, p := range s.Ports {
		if p.ContainerPort == 0 || p.Proto != TCP && p.Proto != UDP {
			errs = append(errs, fmt.Errorf("%w: port %s", ErrInvalid, p))
		}
	}
	return errors.Join(errs...)
}
