package netdemo

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Protocol is a transport protocol: "tcp" or "udp".
type Protocol string

// The two protocols that ports are published for.
const (
	TCP Protocol = "tcp"
	UDP Protocol = "udp"
)

func (p Protocol) number() byte {
	if p == UDP {
		return unix.IPPROTO_UDP
	}
	return unix.IPPROTO_TCP
}

// PortSpec publishes ContainerPort of a container at HostIP:HostPort.
type PortSpec struct {
	Proto         Protocol
	HostIP        netip.Addr // not valid: every address of the host, of both families
	HostPort      uint16     // 0: any free one
	HostPortLast  uint16     `json:",omitempty"` // not 0: any free one from HostPort to this
	ContainerPort uint16
}

func (p PortSpec) String() string {
	host := p.HostPorts()
	if p.HostIP.IsValid() {
		host = net.JoinHostPort(p.HostIP.String(), host)
	}
	return fmt.Sprintf("%s:%d/%s", host, p.ContainerPort, p.Proto)
}

// HostPorts is "8080", or "8080-8090" for any one of these, or "0" for any at all.
func (p PortSpec) HostPorts() string {
	if p.HostPortLast == 0 {
		return fmt.Sprint(p.HostPort)
	}
	return fmt.Sprintf("%d-%d", p.HostPort, p.HostPortLast)
}

// SetHostPorts reads what HostPorts gives.
func (p *PortSpec) SetHostPorts(text string) error {
	first, last, err := portRange(text)
	if err != nil {
		return err
	}
	p.HostPort, p.HostPortLast = uint16(first), 0
	if last != first {
		p.HostPortLast = uint16(last)
	}
	return nil
}

// ParsePorts reads the argument of docker run --publish: [[IP:]HOST[-HOST]:]PORT[-PORT][/PROTO]. An IPv6
// address stands in brackets. A range of container ports gives one PortSpec for each; for a single one a
// range of host ports is what it may take its own from.
func ParsePorts(text string) ([]PortSpec, error) {
	fail := func(why string) ([]PortSpec, error) {
		return nil, &Error{Op: "parse port", Subject: strconv.Quote(text), Err: fmt.Errorf("%w: %s", ErrInvalid, why)}
	}
	rest, proto, ok := strings.Cut(text, "/")
	if !ok {
		proto = string(TCP)
	}
	if proto != string(TCP) && proto != string(UDP) {
		return fail("the protocol is tcp or udp")
	}
	rest, container := cutLast(rest)
	address, host := cutLast(rest)
	first, last, err := portRange(container)
	if err != nil || first == 0 {
		return fail("the container port is a number from 1 to 65535")
	}
	hostFirst, hostLast, err := portRange(host)
	if host != "" && (err != nil || hostFirst != 0 && hostLast-hostFirst != last-first && last != first) {
		return fail("the host port is a number from 0 to 65535, or a range, as long as the container's if that is one")
	}
	var ip netip.Addr
	if address != "" {
		if ip, err = netip.ParseAddr(strings.Trim(address, "[]")); err != nil {
			return fail("the host address is not an IP address")
		}
	}
	var specs []PortSpec
	for i := 0; i <= last-first; i++ {
		spec := PortSpec{Proto: Protocol(proto), HostIP: ip, ContainerPort: uint16(first + i)}
		if hostFirst != 0 {
			spec.HostPort = uint16(hostFirst + i)
		}
		if first == last && hostFirst != hostLast {
			spec.HostPortLast = uint16(hostLast)
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

// cutLast splits at the last colon: "a:b:c" gives "a:b" and "c".
func cutLast(s string) (before, after string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", s
	}
	return s[:i], s[i+1:]
}

func portRange(s string) (first, last int, err error) {
	a, b, ranged := strings.Cut(s, "-")
	if !ranged {
		b = a
	}
	low, err := strconv.ParseUint(a, 10, 16)
	if err != nil {
		return 0, 0, err
	}
	high, err := strconv.ParseUint(b, 10, 16)
	if err == nil && high < low {
		err = ErrInvalid
	}
	return int(low), int(high), err
}
