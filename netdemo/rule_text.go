package netdemo

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
)

// ruleText writes a rule's program in the words of nft(8), as "nft list ruleset" would. A register
// holds what was loaded last; a comparison turns it into words. What it does not know is written as
// "# name", never left out: a rule that reads as wider than it is would mislead.
func ruleText(family nftables.TableFamily, exprs []expr.Any) string {
	t := textWriter{family: family, loaded: map[uint32]loaded{}}
	for i, e := range exprs {
		if t.isProtocolOnly(exprs, i) {
			continue
		}
		t.write(e)
	}
	return strings.Join(t.words, " ")
}

// loaded is what a register holds: the words for it, and how to write a value of it.
type loaded struct {
	words string
	value func([]byte) string
	mask  []byte
	data  []byte // an immediate value
}

type textWriter struct {
	family nftables.TableFamily
	loaded map[uint32]loaded
	words  []string
	proto  byte
}

func (t *textWriter) say(words ...string) { t.words = append(t.words, words...) }

// isProtocolOnly leaves out "meta l4proto tcp" where "tcp dport" follows and says it again, and in the
// inet family "meta nfproto ipv4" before "ip saddr".
func (t *textWriter) isProtocolOnly(exprs []expr.Any, i int) bool {
	cmp, ok := exprs[i].(*expr.Cmp)
	if !ok || len(cmp.Data) == 0 || cmp.Op != expr.CmpOpEq {
		return false
	}
	var next expr.PayloadBase
	switch t.loaded[cmp.Register].words {
	case "meta l4proto":
		t.proto, next = cmp.Data[0], expr.PayloadBaseTransportHeader
	case "meta nfproto":
		t.family, next = nftables.TableFamily(cmp.Data[0]), expr.PayloadBaseNetworkHeader
	default:
		return false
	}
	if i+1 == len(exprs) {
		return false
	}
	load, ok := exprs[i+1].(*expr.Payload)
	return ok && load.Base == next
}

func (t *textWriter) write(e expr.Any) {
	switch e := e.(type) {
	case *expr.Meta:
		t.loaded[e.Register] = metaWords(e.Key)
	case *expr.Payload:
		t.loaded[e.DestRegister] = t.payloadWords(e)
	case *expr.Ct:
		t.loaded[e.Register] = ctWords(e.Key)
	case *expr.Fib:
		t.loaded[e.Register] = fibWords(e)
	case *expr.Immediate:
		t.loaded[e.Register] = loaded{data: e.Data}
	case *expr.Bitwise:
		l := t.loaded[e.SourceRegister]
		l.mask = e.Mask
		t.loaded[e.DestRegister] = l
	case *expr.Cmp:
		t.compare(e)
	case *expr.Lookup:
		t.say(t.loaded[e.SourceRegister].words, map[bool]string{true: "!= @", false: "@"}[e.Invert]+e.SetName)
	case *expr.Counter:
		t.say(fmt.Sprintf("counter packets %d bytes %d", e.Packets, e.Bytes))
	case *expr.Masq:
		t.say("masquerade")
	case *expr.NAT:
		t.nat(e)
	case *expr.Verdict:
		t.say(verdictWords(e))
	case *expr.Reject:
		t.say("reject")
	default:
		t.say("# " + strings.TrimPrefix(fmt.Sprintf("%T", e), "*expr."))
	}
}

func (t *textWriter) compare(e *expr.Cmp) {
	l := t.loaded[e.Register]
	if l.words == "" {
		t.say("# compare")
		return
	}
	op := map[expr.CmpOp]string{expr.CmpOpNeq: "!= ", expr.CmpOpLt: "< ", expr.CmpOpLte: "<= ", expr.CmpOpGt: "> ", expr.CmpOpGte: ">= "}[e.Op]
	if isBits := strings.HasPrefix(l.words, "ct stat"); isBits && l.mask != nil {
		// The mask names the bits; the comparison is only "not none of them".
		t.say(l.words, l.value(l.mask))
		return
	}
	value := l.value(e.Data)
	if l.mask != nil {
		value += "/" + strconv.Itoa(leadingOnes(l.mask))
	}
	t.say(l.words, op+value)
}

func (t *textWriter) nat(e *expr.NAT) {
	kind := map[bool]string{true: "dnat to ", false: "snat to "}[e.Type == expr.NATTypeDestNAT]
	addr, _ := netip.AddrFromSlice(t.loaded[e.RegAddrMin].data)
	port := t.loaded[e.RegProtoMin].data
	if e.RegProtoMin == 0 || len(port) < 2 {
		t.say(kind + addr.String())
		return
	}
	if !addr.IsValid() {
		t.say(kind + ":" + number(port[:2]))
		return
	}
	t.say(kind + netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port)).String())
}

func (t *textWriter) payloadWords(p *expr.Payload) loaded {
	raw := loaded{words: fmt.Sprintf("@%s,%d,%d", baseWord(p.Base), p.Offset*8, p.Len*8), value: hexValue}
	switch p.Base {
	case expr.PayloadBaseNetworkHeader:
		return t.addressWords(p, raw)
	case expr.PayloadBaseTransportHeader:
		name, known := map[byte]string{6: "tcp", 17: "udp"}[t.proto]
		field, ok := map[uint32]string{0: "sport", 2: "dport"}[p.Offset]
		if known && ok && p.Len == 2 {
			return loaded{words: name + " " + field, value: number}
		}
	}
	return raw
}

// addressWords also knows the short form that nft uses for a prefix of whole bytes: 172.18.0.0/16 is
// compared as the first two bytes.
func (t *textWriter) addressWords(p *expr.Payload, raw loaded) loaded {
	name := map[nftables.TableFamily]string{nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6"}[t.family]
	for _, source := range []bool{true, false} {
		offset, size := addrOffset(t.family, source)
		if name == "" || p.Offset != offset || p.Len > size {
			continue
		}
		field := map[bool]string{true: " saddr", false: " daddr"}[source]
		return loaded{words: name + field, value: func(b []byte) string {
			full := make([]byte, size)
			copy(full, b)
			addr, _ := netip.AddrFromSlice(full)
			if p.Len < size {
				return fmt.Sprintf("%s/%d", addr, p.Len*8)
			}
			return addr.String()
		}}
	}
	return raw
}

func baseWord(b expr.PayloadBase) string {
	return map[expr.PayloadBase]string{expr.PayloadBaseLLHeader: "ll", expr.PayloadBaseNetworkHeader: "nh", expr.PayloadBaseTransportHeader: "th"}[b]
}

func metaWords(k expr.MetaKey) loaded {
	name := func(b []byte) string { return strconv.Quote(strings.TrimRight(string(b), "\x00")) }
	switch k {
	case expr.MetaKeyIIFNAME:
		return loaded{words: "iifname", value: name}
	case expr.MetaKeyOIFNAME:
		return loaded{words: "oifname", value: name}
	case expr.MetaKeyL4PROTO:
		return loaded{words: "meta l4proto", value: func(b []byte) string { return protocolName(b[0]) }}
	case expr.MetaKeyNFPROTO:
		return loaded{words: "meta nfproto", value: func(b []byte) string {
			return map[byte]string{2: "ipv4", 10: "ipv6"}[b[0]]
		}}
	case expr.MetaKeyMARK:
		return loaded{words: "meta mark", value: hexValue}
	}
	return loaded{words: fmt.Sprintf("meta #%d", k), value: hexValue}
}

func protocolName(n byte) string {
	if s, ok := map[byte]string{1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 132: "sctp"}[n]; ok {
		return s
	}
	return strconv.Itoa(int(n))
}

func ctWords(k expr.CtKey) loaded {
	switch k {
	case expr.CtKeySTATE:
		return loaded{words: "ct state", value: bitNames(map[uint32]string{1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"})}
	case expr.CtKeySTATUS:
		return loaded{words: "ct status", value: bitNames(map[uint32]string{1: "expected", 2: "seen-reply", 4: "assured", 8: "confirmed", 16: "snat", 32: "dnat", 512: "dying"})}
	}
	return loaded{words: fmt.Sprintf("ct #%d", k), value: hexValue}
}

func bitNames(names map[uint32]string) func([]byte) string {
	return func(b []byte) string {
		if len(b) != 4 {
			return hexValue(b)
		}
		bits := binaryutil.NativeEndian.Uint32(b)
		var out []string
		for bit := uint32(1); bit != 0; bit <<= 1 {
			if bits&bit != 0 && names[bit] != "" {
				out = append(out, names[bit])
			}
		}
		return strings.Join(out, ",")
	}
}

func fibWords(f *expr.Fib) loaded {
	if !f.ResultADDRTYPE {
		return loaded{words: "fib #", value: hexValue}
	}
	words := map[bool]string{true: "fib saddr type", false: "fib daddr type"}[f.FlagSADDR]
	return loaded{words: words, value: func(b []byte) string {
		if len(b) != 4 {
			return hexValue(b)
		}
		n := binaryutil.NativeEndian.Uint32(b)
		types := []string{"unspec", "unicast", "local", "broadcast", "anycast", "multicast"}
		if int(n) < len(types) {
			return types[n]
		}
		return strconv.Itoa(int(n))
	}}
}

func verdictWords(v *expr.Verdict) string {
	switch v.Kind {
	case expr.VerdictAccept:
		return "accept"
	case expr.VerdictDrop:
		return "drop"
	case expr.VerdictReturn:
		return "return"
	case expr.VerdictJump:
		return "jump " + v.Chain
	case expr.VerdictGoto:
		return "goto " + v.Chain
	}
	return fmt.Sprintf("# verdict %d", v.Kind)
}

func number(b []byte) string {
	if len(b) != 2 {
		return hexValue(b)
	}
	return strconv.Itoa(int(binary.BigEndian.Uint16(b)))
}

func hexValue(b []byte) string { return fmt.Sprintf("0x%x", b) }

func leadingOnes(mask []byte) (n int) {
	for _, b := range mask {
		for bit := byte(0x80); bit != 0; bit >>= 1 {
			if b&bit == 0 {
				return n
			}
			n++
		}
	}
	return n
}
