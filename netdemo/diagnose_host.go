package netdemo

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
)

// translate asks the NAT rules at the packet's first hook whether the destination is rewritten.
func (w *walker) translate() (err error) {
	if w.path.To != nil && w.bridged {
		return nil
	}
	if w.chains, err = Chains(w.path.Host); err != nil {
		return err
	}
	if err := w.noteLegacy(); err != nil {
		return err
	}
	hook := "prerouting"
	if w.fromHost() {
		hook = "output"
	}
	t, err := w.trial()
	if err != nil {
		return err
	}
	got := evaluate(w.chains, hook, "nat", t)
	w.noteDoubt(got)
	if got.to.IsValid() {
		w.ok("nat", "host", "%s becomes %s by %q", w.dst, got.to, got.rule.Text)
		w.dst, w.dnatted, w.local = got.to, true, false
		return nil
	}
	w.switched = w.nextHop == w.dst.Addr() && !w.fromHost()
	return w.listenerOnHost(t)
}

// listenerOnHost: what is not rewritten and is for the host itself needs a program there.
func (w *walker) listenerOnHost(t trial) error {
	if !t.isLocal(w.dst.Addr()) {
		return nil
	}
	w.local = true
	found, err := listens(w.path.Host, w.path.Proto, w.dst)
	if err != nil {
		return err
	}
	if w.dst.Port() != 0 && !found {
		w.broken("nat", "host", "publish the port, or start the program", "%s is the host's own address; no rule sends port %d to a container, and nothing listens there",
			w.dst.Addr(), w.dst.Port())
		return nil
	}
	w.ok("listener", "host", "%s is the host's own", w.dst)
	in := evaluate(w.chains, "input", "filter", t)
	w.noteDoubt(in)
	w.judge(in, "input")
	return nil
}

// noteLegacy: rules of the older iptables are in tables that nf_tables does not show.
func (w *walker) noteLegacy() error {
	var names []byte
	w.path.Host.Do(func() (err error) {
		names, err = os.ReadFile(procRoot + "/thread-self/net/ip_tables_names")
		return err
	})
	if tables := strings.Fields(string(names)); len(tables) > 0 {
		w.say("rule", "host", Unknown, "legacy iptables rules are there too (tables "+strings.Join(tables, ", ")+") and are not evaluated",
			"look: iptables-legacy-save -c")
	}
	return nil
}

func (w *walker) noteDoubt(o outcome) {
	for _, r := range o.doubtful {
		w.say("rule", "host", Unknown, "passed over, cannot be evaluated here: "+r.Text, "look: nft list ruleset")
	}
}

// trial is the packet as it is now.
func (w *walker) trial() (trial, error) {
	addrs, err := Addresses(w.path.Host)
	own := map[netip.Addr]bool{}
	for _, a := range addrs {
		own[a.Prefix.Addr()] = true
	}
	return trial{in: w.inLink, out: w.outLink, src: w.src, dst: w.dst.Addr(), proto: w.path.Proto, sport: 40000,
		dport: w.dst.Port(), dnatted: w.dnatted,
		isLocal: func(a netip.Addr) bool { return own[a] || a.IsLoopback() }}, err
}

// routed tells whether the host has to pass the packet on at the IP level.
func (w *walker) routed() bool { return !w.local && !w.bridged }

// forwarding: a host that is no router drops what is not for itself, without a word.
func (w *walker) forwarding() error {
	if !w.routed() || w.fromHost() || w.switched {
		return nil
	}
	key := "net.ipv4.ip_forward"
	if w.dst.Addr().Is6() {
		key = "net.ipv6.conf.all.forwarding"
	}
	value, err := ReadSysctl(w.path.Host, key)
	if err != nil {
		return err
	}
	if value == "0" {
		w.broken("forwarding", "host", "sysctl -w "+key+"=1", "%s is 0", key)
		return nil
	}
	w.ok("forwarding", "host", "%s is %s", key, value)
	return nil
}

// hostRoute asks the kernel for its forwarding decision.
func (w *walker) hostRoute() error {
	if !w.routed() {
		return nil
	}
	options := &netlink.RouteGetOptions{}
	if !w.fromHost() {
		options = &netlink.RouteGetOptions{Iif: w.inLink, SrcAddr: w.src.AsSlice()}
	}
	r, err := routeFor(w.path.Host, w.dst.Addr(), options)
	if w.switched {
		w.outLink = w.inLink
		return nil
	}
	if err != nil {
		w.broken("route", "host", "ip route add", "the host has no way to pass %s on (%v)", w.dst.Addr(), unwrapErrno(err))
		return nil
	}
	l, err := w.path.Host.nl.LinkByIndex(r.Link)
	if err != nil {
		return wrap("read link", fmt.Sprint(r.Link), linkGone(err))
	}
	w.outLink, w.nextHop = l.Attrs().Name, w.dst.Addr()
	if r.Gateway.IsValid() {
		w.nextHop = r.Gateway
	}
	if out := readLink(l); !out.Up || !out.Carrier {
		w.broken("link", "host", "ip link set "+out.Name+" up", "%s, the way to %s, is down", out.Name, w.dst.Addr())
		return nil
	}
	w.ok("route", "host", "%s is reached by %s", w.dst.Addr(), w.outLink)
	return nil
}

// hostRules asks the filter rules. A frame that stays on the bridge meets them too, if br_netfilter
// hands it to them.
func (w *walker) hostRules() error {
	if !w.routed() {
		return nil
	}
	hook := "forward"
	if w.fromHost() {
		hook = "output"
	}
	if w.switched {
		on, err := ReadSysctl(w.path.Host, "net.bridge.bridge-nf-call-iptables")
		if err != nil || on == "0" {
			return nil // the module is not there or not asked: no rules for bridged frames
		}
	}
	t, err := w.trial()
	if err != nil {
		return err
	}
	got := evaluate(w.chains, hook, "filter", t)
	w.noteDoubt(got)
	w.judge(got, hook)
	return nil
}

func (w *walker) judge(o outcome, hook string) {
	switch {
	case o.verdict == "drop" && o.rule != nil:
		w.broken("rule", "host", fmt.Sprintf("nft delete rule %s %s %s handle %d, if it is not wanted", o.rule.Family, o.rule.Table, o.rule.Chain, o.rule.Handle),
			"dropped in chain %s by %q", o.rule.Chain, o.rule.Text)
	case o.verdict == "drop":
		w.broken("rule", "host", "accept it with a rule in the chain", "dropped by the policy of chain %s (table %s)", o.chain.Name, o.chain.Table)
	case o.rule != nil:
		w.ok("rule", "host", "%s: accepted by %q", hook, o.rule.Text)
	default:
		w.ok("rule", "host", "%s: no rule is against it", hook)
	}
}

// masquerade asks whether the source is rewritten on the way out. Whether it must be, the way back
// decides: see toRoute.
func (w *walker) masquerade() error {
	if !w.routed() || w.outLink == "" || w.switched {
		return nil
	}
	t, err := w.trial()
	if err != nil {
		return err
	}
	got := evaluate(w.chains, "postrouting", "nat", t)
	w.noteDoubt(got)
	if !got.masked {
		return nil
	}
	r, err := RouteTo(w.path.Host, w.dst.Addr())
	if err != nil {
		return err
	}
	w.ok("nat", "host", "source %s becomes %s by %q", w.src, r.Source, got.rule.Text)
	w.src = r.Source
	return nil
}

// hostNeighbour: the host needs a MAC too, on the link that it sends by.
func (w *walker) hostNeighbour() error {
	if !w.routed() || w.outLink == "" || w.outLink == "lo" || w.switched || w.fromHost() && w.nextHop == w.path.Dst.Addr() {
		return nil
	}
	l, err := LinkByName(w.path.Host, w.outLink)
	if err != nil {
		return err
	}
	return w.neighbour("host", w.path.Host, l, w.nextHop)
}
