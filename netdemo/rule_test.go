package netdemo

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"

	"cutaway/internal/needs"
)

// texts writes rules without running them past a kernel.
func texts(rules []plannedRule) (out []string) {
	for _, r := range rules {
		out = append(out, r.chain+": "+strings.ReplaceAll(ruleText(r.family, r.exprs), "counter packets 0 bytes 0 ", ""))
	}
	return out
}

func TestNetworkRules(t *testing.T) {
	got := texts(networkRules("br0", netip.MustParsePrefix("172.18.0.0/16"), false, true))
	want := []string{
		`isolate: iifname "br0" oifname != "br0" jump isolate-2`,
		`isolate-2: oifname "br0" drop`,
		`networks: iifname "br0" accept`,
		`networks: oifname "br0" drop`,
		`postrouting: ip saddr 172.18.0.0/16 oifname != "br0" masquerade`,
		`postrouting: fib saddr type local oifname "br0" masquerade`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	internal := texts(networkRules("br0", netip.MustParsePrefix("fd00::/64"), true, false))
	if diff := cmp.Diff([]string{`isolate: iifname "br0" ip6 daddr != fd00::/64 drop`, `isolate: oifname "br0" ip6 saddr != fd00::/64 drop`}, internal); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

func TestPortRules(t *testing.T) {
	sub, addr := netip.MustParsePrefix("172.18.0.0/16"), netip.MustParseAddr("172.18.0.2")
	port := PortSpec{Proto: TCP, HostPort: 8080, ContainerPort: 80}
	id := strings.Repeat("ab", 32)
	got := texts(portRules("br0", endpointOwner(id), sub, addr, port, false))
	want := []string{
		`publish: iifname != "br0" ip daddr != 127.0.0.0/8 tcp dport 8080 dnat to 172.18.0.2:80`,
		`admit: iifname != "br0" oifname "br0" ip daddr 172.18.0.2 tcp dport 80 accept`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	port.HostIP = netip.MustParseAddr("192.0.2.1")
	hairpin := texts(portRules("br0", endpointOwner(id), sub, addr, port, true))
	if want := `publish: ip daddr 192.0.2.1 tcp dport 8080 dnat to 172.18.0.2:80`; hairpin[0] != want {
		t.Errorf("rule %s; want %s", hairpin[0], want)
	}
	if want := `postrouting: ip saddr 172.18.0.0/16 ip daddr 172.18.0.2 tcp dport 80 ct status dnat masquerade`; hairpin[2] != want {
		t.Errorf("rule %s; want %s", hairpin[2], want)
	}
}

// TestRulesetText wants word for word what the nft program says.
func TestRulesetText(t *testing.T) {
	nft := needs.Program(t, "nft", "nftables")
	c := newController(t)
	n := newNetwork(t, c, NetworkSpec{Name: "front", Subnet6: netip.MustParsePrefix("fd00:1::/64")})
	newNetwork(t, c, NetworkSpec{Name: "shut", Internal: true})
	connect(t, n, "web", "8080:80", "127.0.0.1:53:53/udp", "[::1]:99:99")
	byHand := `table inet hand {
	chain f {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		meta l4proto icmp accept
		ip daddr 10.1.2.0/24 udp dport 53 counter packets 0 bytes 0 return
		reject
	}
}`
	runInput(t, c.host, byHand, nft, "-f", "-")
	chains, err := Chains(c.host)
	must(t, err)
	want := run(t, c.host, nft, "list", "ruleset")
	got := RulesetText(chains)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ruleset (-nft +ours):\n%s", diff)
	}
}

func runInput(t *testing.T, ns *Namespace, input, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &out
	if err := ns.Do(cmd.Run); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, &out)
	}
	return out.String()
}

func TestEvaluatePriority(t *testing.T) {
	rule := func(p program) Rule { return Rule{exprs: p, Text: ruleText(nftables.TableFamilyIPv4, p)} }
	chains := []Chain{
		{Family: "ip", Table: "late", Name: "f", Hook: "forward", Type: "filter", Policy: "accept", Prio: 10, Rules: []Rule{rule(drop())}},
		{Family: "ip", Table: "early", Name: "f", Hook: "forward", Type: "filter", Policy: "drop", Prio: 0, Rules: []Rule{rule(join(from("br0"), jump("sub")))}},
		{Family: "ip", Table: "early", Name: "sub", Rules: []Rule{rule(join(daddr(netip.MustParsePrefix("10.0.0.0/8")), dport(TCP, 80), accept()))}},
	}
	tr := trial{in: "br0", src: netip.MustParseAddr("10.0.0.1"), dst: netip.MustParseAddr("10.0.0.2"), proto: TCP, dport: 80, isLocal: func(netip.Addr) bool { return false }}
	// The early chain accepts, the late one drops all the same.
	if got := evaluate(chains, "forward", "filter", tr); got.verdict != "drop" || got.chain.Table != "late" {
		t.Errorf("evaluate = %+v", got)
	}
	if got := evaluate(chains[1:], "forward", "filter", tr); got.verdict != "accept" || got.rule == nil {
		t.Errorf("evaluate = %+v", got)
	}
	tr.dport = 81
	if got := evaluate(chains[1:], "forward", "filter", tr); got.verdict != "drop" || got.rule != nil {
		t.Errorf("evaluate = %+v; want the policy", got)
	}
}
