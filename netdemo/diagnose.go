package netdemo

import (
	"fmt"
	"net/netip"
	"strings"
)

// Path is a connection that should work: from a process in From, through Host, to Dst.
type Path struct {
	From *Namespace // where the packet starts; may be Host
	Host *Namespace // the host that From's link ends in
	To   *Namespace // where Dst is, after translation; nil when it cannot be looked into
	// FarHost is the host that To is on, if that is another one, joined by a VXLAN.
	FarHost *Namespace
	Dst     netip.AddrPort // port 0: only the address matters (ping)
	Proto   Protocol       // TCP when empty
}

// Outcome is what a step of the way was found to be.
type Outcome string

// The three outcomes. Unknown is not a pass: the finding says what could not be looked at.
const (
	OK      Outcome = "ok"
	Broken  Outcome = "broken"
	Unknown Outcome = "unknown"
)

// Finding is one step of the way.
type Finding struct {
	Step    string // "link", "address", "route", "neighbour", "forwarding", "rule", "nat", "listener", "mtu"
	Where   string // "from", "host", "to", "far host"
	Outcome Outcome
	Found   string // what the kernel says
	Try     string // what to do about it; empty when ok
}

func (f Finding) String() string {
	text := fmt.Sprintf("%-7s %-10s in %-8s %s", f.Outcome, f.Step, f.Where, f.Found)
	if f.Try != "" {
		text += "\n        try: " + f.Try
	}
	return text
}

// Diagnosis is the way as far as it could be walked: up to the first broken piece.
type Diagnosis []Finding

// Broken is the piece that breaks the way; nil when all of it was found right.
func (d Diagnosis) Broken() *Finding {
	for i := range d {
		if d[i].Outcome == Broken {
			return &d[i]
		}
	}
	return nil
}

func (d Diagnosis) String() string {
	var b strings.Builder
	for _, f := range d {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// Diagnose walks the way of a packet and looks at each piece that it needs, in the order in which the
// packet needs them: link, address, route, neighbour, translation, forwarding, rules, and at the other
// end the address, the listener and the way back. It stops at the first broken one: what comes after
// cannot be judged. Beside reading, it sends one empty UDP datagram to each next hop (port 9,
// "discard"), because an address that was never asked for is in no neighbour table.
// The error is one of reading; a network that does not work is no error.
func Diagnose(p Path) (Diagnosis, error) {
	if p.Proto == "" {
		p.Proto = TCP
	}
	w := &walker{path: p}
	steps := []func() error{w.fromLink, w.fromAddress, w.fromRoute, w.fromPeer, w.fromNeighbour, w.overlay,
		w.translate, w.forwarding, w.hostRoute, w.hostRules, w.masquerade, w.hostNeighbour, w.toAddress, w.toListener, w.toRoute}
	for _, step := range steps {
		if err := step(); err != nil {
			return w.found, err
		}
		if w.found.Broken() != nil {
			break
		}
	}
	return w.found, nil
}

// walker is the packet on its way: what is known of it after each step.
type walker struct {
	path     Path
	found    Diagnosis
	link     Link           // in From: the link that it leaves by
	src      netip.Addr     // its source
	nextHop  netip.Addr     // whose MAC is needed
	inLink   string         // in Host: where it comes in for the rules (the bridge)
	outLink  string         // in Host: where it leaves
	dst      netip.AddrPort // its destination, after DNAT when there is one
	dnatted  bool
	bridged  bool // goes past the host: by a pair of its own, or by a VXLAN
	switched bool // the next hop is the destination: the bridge carries it, the host does not route it
	local    bool // it is for the host itself
	chains   []Chain
}

func (w *walker) say(step, where string, o Outcome, found, try string) {
	w.found = append(w.found, Finding{step, where, o, found, try})
}

func (w *walker) ok(step, where, format string, args ...any) {
	w.say(step, where, OK, fmt.Sprintf(format, args...), "")
}

func (w *walker) broken(step, where, try, format string, args ...any) {
	w.say(step, where, Broken, fmt.Sprintf(format, args...), try)
}

// fromHost tells whether the packet starts on the host itself: then there is no veth to cross.
func (w *walker) fromHost() bool { return w.path.From == w.path.Host }
