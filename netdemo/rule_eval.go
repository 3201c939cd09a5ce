package netdemo

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// trial is a packet that is not sent: the first of a new connection, put before the rules to see what
// they would do with it.
type trial struct {
	in, out      string // links; "" where there is none yet (in at output) or any more (out at input)
	src, dst     netip.Addr
	proto        Protocol
	sport, dport uint16
	dnatted      bool
	isLocal      func(netip.Addr) bool // whether an address is one of the namespace's own
}

// outcome is what a hook does with a trial.
type outcome struct {
	verdict  string         // "accept" or "drop"
	rule     *Rule          // the rule that decided, or nil for the policy
	chain    *Chain         // the chain whose policy decided, or nil
	to       netip.AddrPort // where DNAT sends it; not valid without
	masked   bool           // the source is rewritten on the way out
	doubtful []Rule         // rules that could not be evaluated and were passed over
}

// evaluate walks the chains of one type at one hook, by priority. A drop is final; an accept is only
// for the chain that says it, the next one may still drop.
func evaluate(chains []Chain, hook, kind string, t trial) outcome {
	e := evaluation{chains: chains, trial: t}
	family := map[bool]string{true: "ip", false: "ip6"}[t.src.Is4()]
	var base []*Chain
	for i := range chains {
		c := &chains[i]
		if c.Hook == hook && c.Type == kind && (c.Family == family || c.Family == "inet") {
			base = append(base, c)
		}
	}
	slices.SortStableFunc(base, func(a, b *Chain) int { return cmp.Compare(a.Prio, b.Prio) })
	for _, c := range base {
		rule, action := e.walk(c, 0)
		switch {
		case action == actDrop || action == actNone && c.Policy == "drop":
			e.out.verdict, e.out.rule, e.out.chain = "drop", rule, c
			return e.out
		case action == actNAT:
			e.out.verdict, e.out.rule = "accept", rule
			return e.out
		case action == actAccept:
			e.out.rule = rule
		}
	}
	e.out.verdict = "accept"
	return e.out
}

type action int

const (
	actNone   action = iota // the chain ended without a decision
	actAccept               // and the other terminal verdicts
	actDrop
	actNAT
	actReturn
)

type evaluation struct {
	chains []Chain
	trial  trial
	out    outcome
}

// walk goes through a chain's rules. depth guards against a loop, which the kernel does not allow.
func (e *evaluation) walk(c *Chain, depth int) (*Rule, action) {
	if depth > 16 {
		return nil, actNone
	}
	for i := range c.Rules {
		r := &c.Rules[i]
		act, target, isGoto := e.run(r)
		if target != "" {
			rule, got := e.walk(e.find(c, target), depth+1)
			if got != actNone && got != actReturn {
				return rule, got
			}
			if isGoto {
				return nil, actNone
			}
			continue
		}
		if act == actReturn {
			return nil, actNone
		}
		if act != actNone {
			return r, act
		}
	}
	return nil, actNone
}

func (e *evaluation) find(from *Chain, name string) *Chain {
	for i := range e.chains {
		c := &e.chains[i]
		if c.Family == from.Family && c.Table == from.Table && c.Name == name {
			return c
		}
	}
	return &Chain{}
}

// run executes one rule's program on the trial. A rule that uses an instruction that is not known
// here is noted and passed over.
func (e *evaluation) run(r *Rule) (act action, jumpTo string, isGoto bool) {
	regs := map[uint32][]byte{}
	for _, instruction := range r.exprs {
		switch x := instruction.(type) {
		case *expr.Counter, *expr.Log:
		case *expr.Immediate:
			regs[x.Register] = x.Data
		case *expr.Bitwise:
			regs[x.DestRegister] = mask(regs[x.SourceRegister], x.Mask, x.Xor)
		case *expr.Cmp:
			if !compareBytes(x.Op, regs[x.Register], x.Data) {
				return actNone, "", false
			}
		case *expr.Masq:
			e.out.masked = true
			return actNAT, "", false
		case *expr.NAT:
			return e.nat(x, regs), "", false
		case *expr.Reject:
			return actDrop, "", false
		case *expr.Verdict:
			return verdictAction(x)
		default:
			register, value := e.trial.load(instruction)
			if value == nil {
				e.out.doubtful = append(e.out.doubtful, *r)
				return actNone, "", false
			}
			regs[register] = value
		}
	}
	return actNone, "", false
}

func verdictAction(v *expr.Verdict) (action, string, bool) {
	switch v.Kind {
	case expr.VerdictJump, expr.VerdictGoto:
		return actNone, v.Chain, v.Kind == expr.VerdictGoto
	case expr.VerdictDrop:
		return actDrop, "", false
	case expr.VerdictReturn:
		return actReturn, "", false
	}
	return actAccept, "", false
}

func (e *evaluation) nat(x *expr.NAT, regs map[uint32][]byte) action {
	if x.Type != expr.NATTypeDestNAT {
		e.out.masked = true
		return actNAT
	}
	addr, ok := netip.AddrFromSlice(regs[x.RegAddrMin])
	if !ok {
		addr = e.trial.dst
	}
	port := e.trial.dport
	if p := regs[x.RegProtoMin]; x.RegProtoMin != 0 && len(p) >= 2 {
		port = binary.BigEndian.Uint16(p)
	}
	e.out.to = netip.AddrPortFrom(addr, port)
	return actNAT
}

// load does what the loading instructions do: nil for one that is not known.
func (t trial) load(instruction expr.Any) (register uint32, value []byte) {
	switch x := instruction.(type) {
	case *expr.Meta:
		return x.Register, t.meta(x.Key)
	case *expr.Payload:
		return x.DestRegister, t.payload(x)
	case *expr.Ct:
		return x.Register, t.conntrack(x.Key)
	case *expr.Fib:
		return x.Register, t.fib(x)
	}
	return 0, nil
}

func (t trial) meta(key expr.MetaKey) []byte {
	name := func(s string) []byte {
		b := make([]byte, unix.IFNAMSIZ)
		copy(b, s)
		return b
	}
	switch key {
	case expr.MetaKeyIIFNAME:
		return name(t.in)
	case expr.MetaKeyOIFNAME:
		return name(t.out)
	case expr.MetaKeyL4PROTO:
		return []byte{t.proto.number()}
	case expr.MetaKeyNFPROTO:
		return []byte{byte(familyOf(t.src))}
	}
	return nil
}

func (t trial) payload(p *expr.Payload) []byte {
	var header []byte
	var start uint32
	switch p.Base {
	case expr.PayloadBaseTransportHeader:
		header = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, t.sport), t.dport)
	case expr.PayloadBaseNetworkHeader:
		// Only the addresses are known, and they stand side by side.
		start, _ = addrOffset(nftables.TableFamily(familyOf(t.src)), true)
		header = append(t.src.AsSlice(), t.dst.AsSlice()...)
	}
	from := int64(p.Offset) - int64(start)
	if from < 0 || from+int64(p.Len) > int64(len(header)) {
		return nil
	}
	return header[from : from+int64(p.Len)]
}

func (t trial) conntrack(key expr.CtKey) []byte {
	switch key {
	case expr.CtKeySTATE:
		return binaryutil.NativeEndian.PutUint32(expr.CtStateBitNEW)
	case expr.CtKeySTATUS:
		if t.dnatted {
			return binaryutil.NativeEndian.PutUint32(ctStatusDNAT)
		}
		return make([]byte, 4)
	}
	return nil
}

func (t trial) fib(x *expr.Fib) []byte {
	if !x.ResultADDRTYPE {
		return nil
	}
	addr := t.dst
	if x.FlagSADDR {
		addr = t.src
	}
	kind := uint32(unix.RTN_UNICAST)
	if t.isLocal(addr) {
		kind = unix.RTN_LOCAL
	}
	return binaryutil.NativeEndian.PutUint32(kind)
}

func mask(b, m, xor []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		if i < len(m) && i < len(xor) {
			out[i] = b[i]&m[i] ^ xor[i]
		}
	}
	return out
}

// compareBytes compares as the kernel does: as many bytes as the rule has.
func compareBytes(op expr.CmpOp, got, want []byte) bool {
	if len(got) > len(want) {
		got = got[:len(want)]
	}
	c := bytes.Compare(got, want)
	switch op {
	case expr.CmpOpEq:
		return c == 0
	case expr.CmpOpNeq:
		return c != 0
	case expr.CmpOpLt:
		return c < 0
	case expr.CmpOpLte:
		return c <= 0
	case expr.CmpOpGt:
		return c > 0
	}
	return c >= 0
}
