package netdemo

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// Packet is a decoded frame: one field for each header that was found, from the outside in. What is
// cut short or not known ends the decoding; what was read until then stays.
type Packet struct {
	Ethernet *Ethernet
	ARP      *ARP
	IP       *IP
	ICMP     *ICMP
	TCP      *TCPHeader
	UDP      *UDPHeader
	DNS      *DNS
	VXLAN    *VXLANHeader
	Inner    *Packet // what the VXLAN carries
	Payload  []byte  // behind the last header that was understood
	Cut      string  // the header that was cut short; "" when the frame is whole
}

// Ethernet is the frame's header: 14 bytes.
type Ethernet struct {
	Dst, Src net.HardwareAddr
	Type     uint16 // 0x0800 IPv4, 0x0806 ARP, 0x86dd IPv6
}

// ARP is a question or an answer (RFC 826).
type ARP struct {
	Reply                bool
	SenderMAC, TargetMAC net.HardwareAddr
	SenderIP, TargetIP   netip.Addr
}

// IP is an IPv4 or IPv6 header.
type IP struct {
	Src, Dst netip.Addr
	Protocol byte // 1 ICMP, 6 TCP, 17 UDP, 58 ICMPv6
	TTL      byte
	Length   int  // of the whole packet, in bytes, as the header says
	DontFrag bool // IPv4 only
	Fragment bool // not the first of several: no ports in it
}

// ICMP covers ICMP and ICMPv6.
type ICMP struct {
	V6       bool
	Type     byte
	Code     byte
	ID, Seq  uint16     // of echo requests and replies
	Target   netip.Addr // of IPv6 neighbour discovery
	MTU      int        // of "fragmentation needed" and "packet too big", in bytes
	Original *IP        // the packet that an error is about
}

// TCPHeader is what a lab shows of it.
type TCPHeader struct {
	Src, Dst uint16
	Seq, Ack uint32
	Flags    byte // FIN 1, SYN 2, RST 4, PSH 8, ACK 16
}

// UDPHeader has 8 bytes.
type UDPHeader struct {
	Src, Dst uint16
	Length   int
}

// VXLANHeader has 8 bytes (RFC 7348).
type VXLANHeader struct{ VNI int }

// Decode reads an Ethernet frame. It never fails: Packet.Cut says where it had to stop.
func Decode(frame []byte) Packet { return decodeDepth(frame, 0) }

// decodeDepth bounds how many VXLANs in VXLANs are followed.
func decodeDepth(b []byte, depth int) (p Packet) {
	if len(b) < 14 {
		p.Cut = "ethernet"
		return p
	}
	p.Ethernet = &Ethernet{Dst: b[:6], Src: b[6:12], Type: binary.BigEndian.Uint16(b[12:])}
	p.Payload = b[14:]
	switch p.Ethernet.Type {
	case unix.ETH_P_ARP:
		p.decodeARP(p.Payload)
	case unix.ETH_P_IP:
		p.decodeIPv4(p.Payload, depth)
	case unix.ETH_P_IPV6:
		p.decodeIPv6(p.Payload, depth)
	}
	return p
}

// decodeARP knows the one form in use: Ethernet and IPv4, 28 bytes.
func (p *Packet) decodeARP(b []byte) {
	if len(b) < 28 || binary.BigEndian.Uint16(b) != 1 || b[4] != 6 || b[5] != 4 {
		p.Cut = "arp"
		return
	}
	p.ARP = &ARP{Reply: binary.BigEndian.Uint16(b[6:]) == 2, SenderMAC: b[8:14], SenderIP: addr4(b[14:]),
		TargetMAC: b[18:24], TargetIP: addr4(b[24:])}
	p.Payload = nil
}

func addr4(b []byte) netip.Addr  { return netip.AddrFrom4([4]byte(b[:4])) }
func addr16(b []byte) netip.Addr { return netip.AddrFrom16([16]byte(b[:16])) }

func (p *Packet) decodeIPv4(b []byte, depth int) {
	ip, rest := parseIPv4(b)
	if ip == nil {
		p.Cut = "ip"
		return
	}
	p.IP, p.Payload = ip, rest
	p.decodeTransport(depth)
}

// parseIPv4 honours both lengths in the header: options come between it and the payload, and a
// short frame is padded to 60 bytes behind the payload.
func parseIPv4(b []byte) (*IP, []byte) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return nil, nil
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < 20 || header > len(b) || total < header {
		return nil, nil
	}
	fragment := binary.BigEndian.Uint16(b[6:])
	ip := &IP{Src: addr4(b[12:]), Dst: addr4(b[16:]), Protocol: b[9], TTL: b[8], Length: total,
		DontFrag: fragment&0x4000 != 0, Fragment: fragment&0x1fff != 0}
	return ip, b[header:min(total, len(b))]
}

func (p *Packet) decodeIPv6(b []byte, depth int) {
	ip, rest := parseIPv6(b)
	if ip == nil {
		p.Cut = "ip6"
		return
	}
	p.IP, p.Payload = ip, rest
	p.decodeTransport(depth)
}

// parseIPv6 steps over a hop-by-hop header, which multicast reports carry.
func parseIPv6(b []byte) (*IP, []byte) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return nil, nil
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	ip := &IP{Src: addr16(b[8:]), Dst: addr16(b[24:]), Protocol: b[6], TTL: b[7], Length: 40 + length}
	rest := b[40:min(40+length, len(b))]
	if ip.Protocol == unix.IPPROTO_HOPOPTS && len(rest) >= 8 {
		size := (int(rest[1]) + 1) * 8
		if size > len(rest) {
			return nil, nil
		}
		ip.Protocol, rest = rest[0], rest[size:]
	}
	return ip, rest
}

func (p *Packet) decodeTransport(depth int) {
	if p.IP.Fragment {
		return
	}
	switch p.IP.Protocol {
	case unix.IPPROTO_ICMP:
		p.decodeICMP(p.Payload)
	case unix.IPPROTO_ICMPV6:
		p.decodeICMPv6(p.Payload)
	case unix.IPPROTO_TCP:
		p.decodeTCP(p.Payload)
	case unix.IPPROTO_UDP:
		p.decodeUDP(p.Payload, depth)
	}
}

func (p *Packet) decodeTCP(b []byte) {
	if len(b) < 20 || int(b[12]>>4)*4 < 20 || int(b[12]>>4)*4 > len(b) {
		p.Cut = "tcp"
		return
	}
	p.TCP = &TCPHeader{Src: binary.BigEndian.Uint16(b), Dst: binary.BigEndian.Uint16(b[2:]),
		Seq: binary.BigEndian.Uint32(b[4:]), Ack: binary.BigEndian.Uint32(b[8:]), Flags: b[13]}
	p.Payload = b[int(b[12]>>4)*4:]
}

func (p *Packet) decodeUDP(b []byte, depth int) {
	if len(b) < 8 {
		p.Cut = "udp"
		return
	}
	p.UDP = &UDPHeader{Src: binary.BigEndian.Uint16(b), Dst: binary.BigEndian.Uint16(b[2:]), Length: int(binary.BigEndian.Uint16(b[4:]))}
	p.Payload = b[8:]
	switch {
	case p.UDP.Dst == 4789 && depth < 4:
		p.decodeVXLAN(p.Payload, depth)
	case p.UDP.Dst == 53 || p.UDP.Src == 53:
		p.DNS = decodeDNS(p.Payload)
	}
}

func (p *Packet) decodeVXLAN(b []byte, depth int) {
	if len(b) < 8 || b[0]&8 == 0 { // the flag that says "the VNI is valid"
		p.Cut = "vxlan"
		return
	}
	p.VXLAN = &VXLANHeader{VNI: int(b[4])<<16 | int(b[5])<<8 | int(b[6])}
	inner := decodeDepth(b[8:], depth+1)
	p.Inner, p.Payload = &inner, nil
}

// String writes the packet on one line, as tcpdump -e does; a VXLAN's content follows in brackets.
func (p Packet) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if e := p.Ethernet; e != nil {
		add("%s > %s", e.Src, e.Dst)
	}
	switch {
	case p.ARP != nil && p.ARP.Reply:
		add("ARP %s is at %s", p.ARP.SenderIP, p.ARP.SenderMAC)
	case p.ARP != nil:
		add("ARP who has %s? tell %s", p.ARP.TargetIP, p.ARP.SenderIP)
	case p.TCP != nil:
		add("TCP %s > %s %s", netip.AddrPortFrom(p.IP.Src, p.TCP.Src), netip.AddrPortFrom(p.IP.Dst, p.TCP.Dst), tcpFlags(p.TCP.Flags))
	case p.UDP != nil:
		add("UDP %s > %s", netip.AddrPortFrom(p.IP.Src, p.UDP.Src), netip.AddrPortFrom(p.IP.Dst, p.UDP.Dst))
	case p.ICMP != nil:
		add("%s > %s %s", p.IP.Src, p.IP.Dst, p.ICMP)
	case p.IP != nil:
		add("%s > %s %s", p.IP.Src, p.IP.Dst, protocolName(p.IP.Protocol))
	}
	switch {
	case p.DNS != nil:
		add("%s", p.DNS)
	case p.VXLAN != nil:
		add("VXLAN vni %d [%s]", p.VXLAN.VNI, p.Inner)
	case p.TCP != nil || p.UDP != nil:
		add("%d bytes", len(p.Payload))
	}
	if p.Cut != "" {
		add("(%s cut short)", p.Cut)
	}
	return strings.Join(parts, ", ")
}

func tcpFlags(f byte) string {
	var set []string
	for i, name := range []string{"FIN", "SYN", "RST", "PSH", "ACK"} {
		if f&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, ",")
}
