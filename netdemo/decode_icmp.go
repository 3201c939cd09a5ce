package netdemo

import (
	"encoding/binary"
	"fmt"
)

// decodeICMP reads the four bytes that every message has, then what its type adds (RFC 792).
func (p *Packet) decodeICMP(b []byte) {
	if len(b) < 8 {
		p.Cut = "icmp"
		return
	}
	p.ICMP = &ICMP{Type: b[0], Code: b[1]}
	p.Payload = b[8:]
	switch b[0] {
	case 0, 8:
		p.ICMP.ID, p.ICMP.Seq = binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	case 3, 11: // an error quotes the packet that it is about
		if b[0] == 3 && b[1] == 4 {
			p.ICMP.MTU = int(binary.BigEndian.Uint16(b[6:]))
		}
		p.ICMP.Original, _ = parseIPv4(b[8:])
	}
}

// decodeICMPv6 also reads neighbour discovery, which is IPv6's ARP (RFC 4443, RFC 4861).
func (p *Packet) decodeICMPv6(b []byte) {
	if len(b) < 8 {
		p.Cut = "icmp6"
		return
	}
	p.ICMP = &ICMP{V6: true, Type: b[0], Code: b[1]}
	p.Payload = b[8:]
	switch b[0] {
	case 128, 129:
		p.ICMP.ID, p.ICMP.Seq = binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	case 135, 136:
		if len(b) < 24 {
			p.Cut = "icmp6"
			return
		}
		p.ICMP.Target, p.Payload = addr16(b[8:]), b[24:]
	case 1, 2, 3:
		if b[0] == 2 {
			p.ICMP.MTU = int(binary.BigEndian.Uint32(b[4:]))
		}
		p.ICMP.Original, _ = parseIPv6(b[8:])
	}
}

// String names the message.
func (m *ICMP) String() string {
	text := fmt.Sprintf("ICMP type %d code %d", m.Type, m.Code)
	switch [2]any{m.V6, m.Type} {
	case [2]any{false, byte(8)}, [2]any{true, byte(128)}:
		text = fmt.Sprintf("echo request id %d seq %d", m.ID, m.Seq)
	case [2]any{false, byte(0)}, [2]any{true, byte(129)}:
		text = fmt.Sprintf("echo reply id %d seq %d", m.ID, m.Seq)
	case [2]any{true, byte(135)}:
		text = fmt.Sprintf("neighbour solicitation: who has %s?", m.Target)
	case [2]any{true, byte(136)}:
		text = fmt.Sprintf("neighbour advertisement: %s is here", m.Target)
	case [2]any{false, byte(3)}, [2]any{true, byte(1)}:
		text = unreachableText(m)
	case [2]any{true, byte(2)}:
		text = fmt.Sprintf("packet too big, mtu %d", m.MTU)
	case [2]any{false, byte(11)}, [2]any{true, byte(3)}:
		text = "time exceeded"
	}
	if m.Original != nil {
		text += fmt.Sprintf(" (about %s > %s)", m.Original.Src, m.Original.Dst)
	}
	return text
}

func unreachableText(m *ICMP) string {
	v4 := []string{"network", "host", "protocol", "port"}
	v6 := map[byte]string{0: "network", 1: "administratively", 3: "host", 4: "port"}
	switch {
	case !m.V6 && m.Code == 4:
		return fmt.Sprintf("fragmentation needed, mtu %d", m.MTU)
	case !m.V6 && int(m.Code) < len(v4):
		return v4[m.Code] + " unreachable"
	case m.V6 && v6[m.Code] != "":
		return v6[m.Code] + " unreachable"
	}
	return fmt.Sprintf("unreachable, code %d", m.Code)
}
