package netdemo

import (
	"math/rand/v2"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// nameTTL is how long, in seconds, a client may keep an answer: what Docker says.
const nameTTL = 600

// maxUDPAnswer is what a client takes over UDP, in bytes, when it does not say (RFC 1035); EDNS
// says more (RFC 6891).
const maxUDPAnswer = 512

// question is a parsed query: its one question and what the answer must repeat.
type question struct {
	header dnsmessage.Header
	dnsmessage.Question
	limit int // bytes that the client takes over UDP
}

func parseQuery(packet []byte) (question, error) {
	var p dnsmessage.Parser
	header, err := p.Start(packet)
	if err != nil {
		return question{}, err
	}
	q, err := p.Question()
	if err != nil {
		return question{header: header}, err
	}
	out := question{header, q, maxUDPAnswer}
	p.SkipAllQuestions()
	p.SkipAllAnswers()
	p.SkipAllAuthorities()
	for {
		h, err := p.AdditionalHeader()
		if err != nil {
			return out, nil
		}
		if h.Type == dnsmessage.TypeOPT {
			// In an OPT record the class field holds the size that the client takes.
			out.limit = max(maxUDPAnswer, int(h.Class))
		}
		p.SkipAdditional()
	}
}

// records are what a table of names knows: for a name its addresses, for an address its name. known
// tells "no such name" from "the name has no address of that kind".
type records interface {
	lookup(name string) (addrs []netip.Addr, known bool)
	nameOf(addr netip.Addr) (name string, known bool)
}

// answerFrom answers a query from the table; false when the table does not know the name, and
// somebody else is to be asked.
func answerFrom(table records, q question, limit int) ([]byte, bool) {
	name := strings.TrimSuffix(q.Name.String(), ".")
	var answers []dnsmessage.ResourceBody
	switch q.Type {
	case dnsmessage.TypePTR:
		addr, ok := reverseAddr(name)
		owner, known := table.nameOf(addr)
		target, err := dnsmessage.NewName(owner + ".")
		if !ok || !known || err != nil {
			return nil, false
		}
		answers = append(answers, &dnsmessage.PTRResource{PTR: target})
	default:
		addrs, known := table.lookup(name)
		if !known {
			return nil, false
		}
		// In another order each time: clients take the first, so the bearers of an alias share the work.
		rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
		answers = addressRecords(q.Type, addrs)
	}
	return buildAnswer(q, dnsmessage.RCodeSuccess, answers, limit), true
}

// addressRecords is empty, and rightly so, when a known name has no address of the kind that was asked
// for: an answer without records. "No such name" would make clients give the name up altogether.
func addressRecords(kind dnsmessage.Type, addrs []netip.Addr) (out []dnsmessage.ResourceBody) {
	for _, a := range addrs {
		switch {
		case a.Is4() && kind == dnsmessage.TypeA:
			out = append(out, &dnsmessage.AResource{A: a.As4()})
		case a.Is6() && kind == dnsmessage.TypeAAAA:
			out = append(out, &dnsmessage.AAAAResource{AAAA: a.As16()})
		}
	}
	return out
}

// buildAnswer writes the message. What does not fit into limit bytes is left out and the answer marked
// truncated: the client then asks again over TCP.
func buildAnswer(q question, code dnsmessage.RCode, answers []dnsmessage.ResourceBody, limit int) []byte {
	msg := dnsmessage.Message{
		Header: dnsmessage.Header{ID: q.header.ID, Response: true, RecursionDesired: q.header.RecursionDesired,
			RecursionAvailable: true, RCode: code},
		Questions: []dnsmessage.Question{q.Question},
	}
	for _, body := range answers {
		msg.Answers = append(msg.Answers, dnsmessage.Resource{Body: body,
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: nameTTL}})
	}
	for {
		b, err := msg.Pack()
		if err != nil || len(b) <= limit || len(msg.Answers) == 0 {
			return b
		}
		msg.Header.Truncated = true
		msg.Answers = msg.Answers[:len(msg.Answers)-1]
	}
}

// reverseAddr reads "2.0.17.172.in-addr.arpa", and the nibbles of ip6.arpa.
func reverseAddr(name string) (netip.Addr, bool) {
	name = strings.ToLower(name)
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		p := strings.Split(rest, ".")
		if len(p) != 4 {
			return netip.Addr{}, false
		}
		a, err := netip.ParseAddr(p[3] + "." + p[2] + "." + p[1] + "." + p[0])
		return a, err == nil
	}
	rest, ok := strings.CutSuffix(name, ".ip6.arpa")
	if !ok || len(rest) != 63 {
		return netip.Addr{}, false
	}
	// 32 digits, the last one first, with dots between them.
	var text strings.Builder
	for i := 62; i >= 0; i -= 2 {
		text.WriteByte(rest[i])
		if digits := (64 - i) / 2; digits%4 == 0 && digits < 32 {
			text.WriteByte(':')
		}
	}
	a, err := netip.ParseAddr(text.String())
	return a, err == nil && a.Is6()
}
