package netdemo

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A rule in the kernel is a small program over registers: load something of the packet into
// register 1, compare it, go on or give up; at the end, act. The functions below are the
// instructions that the rules of this package are made of; see nft(8) for the words in quotes.

type program []expr.Any

func join(parts ...program) (all program) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func compare(op expr.CmpOp, data []byte) expr.Any { return &expr.Cmp{Op: op, Register: 1, Data: data} }

// linkName is "iifname" or "oifname". The kernel compares 16 bytes, padded with zeroes.
func linkName(key expr.MetaKey, op expr.CmpOp, name string) program {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return program{&expr.Meta{Key: key, Register: 1}, compare(op, padded)}
}

func from(bridge string) program    { return linkName(expr.MetaKeyIIFNAME, expr.CmpOpEq, bridge) }
func notFrom(bridge string) program { return linkName(expr.MetaKeyIIFNAME, expr.CmpOpNeq, bridge) }
func to(bridge string) program      { return linkName(expr.MetaKeyOIFNAME, expr.CmpOpEq, bridge) }
func notTo(bridge string) program   { return linkName(expr.MetaKeyOIFNAME, expr.CmpOpNeq, bridge) }

// Where the addresses stand in the two headers, in bytes: RFC 791 and RFC 8200.
func addrOffset(family nftables.TableFamily, source bool) (offset, size uint32) {
	switch {
	case family == nftables.TableFamilyIPv4 && source:
		return 12, 4
	case family == nftables.TableFamilyIPv4:
		return 16, 4
	case source:
		return 8, 16
	}
	return 24, 16
}

func familyOf(a netip.Addr) nftables.TableFamily {
	if a.Is4() {
		return nftables.TableFamilyIPv4
	}
	return nftables.TableFamilyIPv6
}

// subnet is "ip saddr 172.18.0.0/16" and its like: load, mask, compare.
func subnet(source bool, op expr.CmpOp, p netip.Prefix) program {
	offset, size := addrOffset(familyOf(p.Addr()), source)
	load := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size}
	if p.IsSingleIP() {
		return program{load, compare(op, p.Addr().AsSlice())}
	}
	mask := &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size,
		Mask: ipNet(p).Mask, Xor: make([]byte, size)}
	return program{load, mask, compare(op, p.Masked().Addr().AsSlice())}
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func saddr(p netip.Prefix) program    { return subnet(true, expr.CmpOpEq, p) }
func daddr(p netip.Prefix) program    { return subnet(false, expr.CmpOpEq, p) }
func notSaddr(p netip.Prefix) program { return subnet(true, expr.CmpOpNeq, p) }
func notDaddr(p netip.Prefix) program { return subnet(false, expr.CmpOpNeq, p) }

// dport is "tcp dport 80": the protocol first, for a port means nothing without it.
func dport(proto Protocol, port uint16) program {
	return program{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		compare(expr.CmpOpEq, []byte{proto.number()}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		compare(expr.CmpOpEq, binary.BigEndian.AppendUint16(nil, port)),
	}
}

// localAddr is "fib daddr type local": the address is one of this namespace's own.
func localAddr(source bool) program {
	return program{
		&expr.Fib{Register: 1, ResultADDRTYPE: true, FlagSADDR: source, FlagDADDR: !source},
		compare(expr.CmpOpEq, binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)),
	}
}

// ctBits is "ct state established,related" or "ct status dnat": any of the bits is set.
func ctBits(key expr.CtKey, bits uint32) program {
	return program{
		&expr.Ct{Key: key, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		compare(expr.CmpOpNeq, make([]byte, 4)),
	}
}

const ctStatusDNAT = 1 << 5 // IPS_DST_NAT, linux/netfilter/nf_conntrack_common.h

func established() program {
	return ctBits(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
}

func wasDNATed() program { return ctBits(expr.CtKeySTATUS, ctStatusDNAT) }

func verdict(kind expr.VerdictKind, chain string) program {
	return program{&expr.Counter{}, &expr.Verdict{Kind: kind, Chain: chain}}
}

func accept() program           { return verdict(expr.VerdictAccept, "") }
func drop() program             { return verdict(expr.VerdictDrop, "") }
func jump(chain string) program { return verdict(expr.VerdictJump, chain) }

func masquerade() program { return program{&expr.Counter{}, &expr.Masq{}} }

// dnat is "dnat to 172.18.0.2:80": the new address from register 1, the new port from register 2.
func dnat(dst netip.AddrPort) program {
	return program{
		&expr.Counter{},
		&expr.Immediate{Register: 1, Data: dst.Addr().AsSlice()},
		&expr.Immediate{Register: 2, Data: binary.BigEndian.AppendUint16(nil, dst.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(familyOf(dst.Addr())),
			RegAddrMin: 1, RegProtoMin: 2, Specified: true},
	}
}
