package netdemo

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// portLedger remembers which host port is published by whom. A published port without a proxy has
// no socket that would hold it, so the kernel cannot refuse the second taker; the ledger does.
type portLedger struct {
	host *Namespace
	claims
}

// reserve takes the port of spec for holder, or the first free one of spec's range, or with HostPort 0
// the next free one of the range that the kernel itself uses for its own choice
// (net.ipv4.ip_local_port_range).
func (l portLedger) reserve(spec PortSpec, holder string) (PortSpec, error) {
	err := locked(l.dir, func() error {
		switch {
		case spec.HostPort == 0:
			return l.takeAny(&spec, holder)
		case spec.HostPortLast != 0:
			return l.takeFirst(&spec, holder)
		default:
			return l.take(spec, holder)
		}
	})
	return spec, err
}

func (l portLedger) takeFirst(spec *PortSpec, holder string) error {
	asked, last := *spec, spec.HostPortLast
	spec.HostPortLast = 0
	for ; spec.HostPort <= last; spec.HostPort++ {
		if err := l.take(*spec, holder); !errors.Is(err, ErrPortInUse) {
			return err
		}
		if spec.HostPort == last {
			break // one more could be 0 again
		}
	}
	return &Error{Op: "reserve port", Subject: asked.String(), Err: ErrPortInUse}
}

func (l portLedger) takeAny(spec *PortSpec, holder string) error {
	low, high, err := l.ephemeral()
	if err != nil {
		return err
	}
	size := high - low + 1
	next, _ := strconv.Atoi(l.holder(".next"))
	for i := range size {
		port := low + (max(next, low)-low+i)%size
		spec.HostPort = uint16(port)
		err := l.take(*spec, holder)
		if err == nil {
			return l.note(".next", strconv.Itoa(port+1))
		}
		if !errors.Is(err, ErrPortInUse) {
			return err
		}
	}
	spec.HostPort = 0
	return &Error{Op: "reserve port", Subject: fmt.Sprintf("%d-%d", low, high), Err: ErrPortInUse}
}

func (l portLedger) ephemeral() (low, high int, err error) {
	text, err := ReadSysctl(l.host, "net.ipv4.ip_local_port_range")
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscan(text, &low, &high); err != nil || high < low {
		return 0, 0, &Error{Op: "read port range", Subject: text, Err: ErrInvalid}
	}
	return low, high, nil
}

// take checks the ledger first (it knows the container's name), then asks the kernel by binding.
func (l portLedger) take(spec PortSpec, holder string) error {
	names, err := l.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if l.clashes(name, spec) {
			return &Error{Op: "reserve port", Subject: spec.String() + " (published by " + l.holder(name) + ")", Err: ErrPortInUse}
		}
	}
	if err := l.tryBind(spec); err != nil {
		return err
	}
	return wrap("reserve port", spec.String(), l.claims.take(claimName(spec), holder))
}

func (l portLedger) free(spec PortSpec) error { return l.release(claimName(spec)) }

// claimName is tcp_8080_0.0.0.0; "any" stands for all addresses of both families.
func claimName(p PortSpec) string {
	ip := "any"
	if p.HostIP.IsValid() {
		ip = p.HostIP.String()
	}
	return fmt.Sprintf("%s_%d_%s", p.Proto, p.HostPort, ip)
}

// clashes follows bind(2): the same port clashes when the addresses are equal or one stands for all.
func (l portLedger) clashes(name string, spec PortSpec) bool {
	ip, ok := strings.CutPrefix(name, fmt.Sprintf("%s_%d_", spec.Proto, spec.HostPort))
	if !ok {
		return false
	}
	held, err := netip.ParseAddr(ip)
	if err != nil || !spec.HostIP.IsValid() {
		return true
	}
	return held.Is4() == spec.HostIP.Is4() && (held == spec.HostIP || held.IsUnspecified() || spec.HostIP.IsUnspecified())
}

// tryBind asks the kernel whether a program in the host's namespace has the port: bind(2), then close.
func (l portLedger) tryBind(spec PortSpec) error {
	err := l.host.Do(func() error {
		if spec.Proto == UDP {
			c, err := net.ListenPacket(listenNetwork(spec), listenAddress(spec))
			if err == nil {
				c.Close()
			}
			return err
		}
		c, err := net.Listen(listenNetwork(spec), listenAddress(spec))
		if err == nil {
			c.Close()
		}
		return err
	})
	if errors.Is(err, unix.EADDRINUSE) {
		return &Error{Op: "reserve port", Subject: spec.String() + l.heldBy(spec), Err: errors.Join(ErrPortInUse, unix.EADDRINUSE)}
	}
	return wrap("reserve port", spec.String(), err)
}

func (l portLedger) heldBy(spec PortSpec) string {
	sockets, err := Sockets(l.host)
	if err != nil {
		return ""
	}
	for _, s := range sockets {
		if s.Proto == spec.Proto && s.Local.Port() == spec.HostPort && (s.State == "LISTEN" || s.Proto == UDP) {
			if owner, err := SocketOwner(s.Inode); err == nil {
				return fmt.Sprintf(" (held by %s, pid %d)", owner.Command, owner.Pid)
			}
		}
	}
	return ""
}

func listenAddress(p PortSpec) string {
	if !p.HostIP.IsValid() {
		return fmt.Sprintf(":%d", p.HostPort)
	}
	return netip.AddrPortFrom(p.HostIP, p.HostPort).String()
}

// listenNetwork is tcp, tcp4 or tcp6. Go takes plain "tcp" at 0.0.0.0 for both families.
func listenNetwork(p PortSpec) string {
	switch {
	case !p.HostIP.IsValid():
		return string(p.Proto)
	case p.HostIP.Is4():
		return string(p.Proto) + "4"
	}
	return string(p.Proto) + "6"
}
