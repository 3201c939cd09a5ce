package netdemo

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// DNS is what a lab shows of a DNS message.
type DNS struct {
	ID       uint16
	Response bool
	Code     string // "NOERROR", "NXDOMAIN" ...
	Name     string
	Type     string   // "A", "AAAA", "PTR" ...
	Answers  []string // addresses and names
}

// decodeDNS is nil for what is no DNS message. A message without a question has no name.
func decodeDNS(b []byte) *DNS {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil {
		return nil
	}
	d := &DNS{ID: h.ID, Response: h.Response, Code: rcodeName(h.RCode)}
	q, err := p.Question()
	if err != nil {
		return d
	}
	d.Name, d.Type = q.Name.String(), strings.TrimPrefix(q.Type.String(), "Type")
	if p.SkipAllQuestions() != nil {
		return d
	}
	for {
		r, err := p.Answer()
		if err != nil {
			return d
		}
		d.Answers = append(d.Answers, answerText(r.Body))
	}
}

func answerText(body dnsmessage.ResourceBody) string {
	switch r := body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(r.A).String()
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(r.AAAA).String()
	case *dnsmessage.PTRResource:
		return r.PTR.String()
	case *dnsmessage.CNAMEResource:
		return r.CNAME.String()
	}
	return strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", body), "*dnsmessage."), "Resource")
}

func rcodeName(c dnsmessage.RCode) string {
	names := []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("RCODE%d", c)
}

// String is "DNS A? db." for a query and "DNS A db. NOERROR 172.18.0.3" for an answer.
func (d *DNS) String() string {
	if !d.Response {
		return fmt.Sprintf("DNS %s? %s", d.Type, d.Name)
	}
	return strings.TrimSpace(fmt.Sprintf("DNS %s %s %s %s", d.Type, d.Name, d.Code, strings.Join(d.Answers, " ")))
}
