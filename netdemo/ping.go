package netdemo

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Echo is the answer to a ping.
type Echo struct {
	From netip.Addr // who answered
	TTL  byte       // what is left of the 64 hops that the answer set out with
	RTT  time.Duration
}

// Ping sends one ICMP echo request from ns and waits for its answer, as ping(8) does: a raw socket
// (raw(7), icmp(7)), which needs CAP_NET_RAW over the namespace. IPv4 only. The error of a destination without
// a route is the kernel's (unix.ENETUNREACH); os.ErrDeadlineExceeded when nothing came back.
func Ping(ns *Namespace, dst netip.Addr, wait time.Duration) (Echo, error) {
	var fd int
	err := ns.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		return err
	})
	if err != nil {
		return Echo{}, wrap("open raw socket for ping to", dst.String(), err)
	}
	defer unix.Close(fd)
	start := time.Now()
	// The id tells our answers from those to others' pings: a raw socket hears them all.
	id := uint16(start.UnixNano())
	if err := unix.Sendto(fd, echoRequest(id, 1), 0, &unix.SockaddrInet4{Addr: dst.As4()}); err != nil {
		return Echo{}, wrap("ping", dst.String(), err)
	}
	for {
		e, mine, err := hearEcho(fd, id, wait-time.Since(start))
		if err != nil {
			return Echo{}, wrap("ping", dst.String(), err)
		}
		if mine {
			e.RTT = time.Since(start)
			return e, nil
		}
	}
}

// hearEcho waits for one ICMP packet and tells whether it is the answer with the id.
func hearEcho(fd int, id uint16, left time.Duration) (e Echo, mine bool, err error) {
	if left <= 0 {
		return e, false, os.ErrDeadlineExceeded
	}
	timeout := unix.NsecToTimeval(int64(left) + int64(time.Microsecond)) // 0 would wait for ever
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return e, false, err
	}
	buf := make([]byte, 1500)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return e, false, os.ErrDeadlineExceeded
	case errors.Is(err, unix.EINTR):
		return e, false, nil
	case err != nil:
		return e, false, err
	}
	ip, rest := parseIPv4(buf[:n]) // a raw socket delivers the IP header too
	if ip == nil || len(rest) < 8 || rest[0] != 0 || binary.BigEndian.Uint16(rest[4:]) != id {
		return e, false, nil
	}
	return Echo{From: ip.Src, TTL: ip.TTL}, true, nil
}

// echoRequest has type 8, code 0, a checksum, an id and a number (RFC 792).
func echoRequest(id, seq uint16) []byte {
	b := []byte{8, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, seq)
	b = append(b, "cutaway."...)
	binary.BigEndian.PutUint16(b[2:], internetChecksum(b))
	return b
}

// internetChecksum is the ones' complement of the ones' complement sum of 16-bit words (RFC 1071).
func internetChecksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
