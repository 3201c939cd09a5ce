package netdemo

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cutaway/internal/engine"
)

// namespaceOf opens the network namespace of another's process.
func namespaceOf(t *testing.T, pid int) *Namespace {
	t.Helper()
	ns, err := OpenPid(pid)
	must(t, err)
	t.Cleanup(func() { ns.Close() })
	return ns
}

// facts are what the kernel has, in the same words for both.
type facts map[string]string

func networkFacts(t *testing.T, host, container *Namespace) facts {
	f := facts{}
	eth0, err := LinkByName(container, "eth0")
	must(t, err)
	f["container: links"] = strings.Join(linkNames(t, container), " ")
	f["container: MAC"] = eth0.MAC.String()
	f["container: MTU"] = fmt.Sprint(eth0.MTU)
	f["container: addresses"] = addressesOn(t, container, eth0.Index)
	f["container: routes"] = mainRoutes(t, container)
	bridge, err := LinkByName(host, "br-front")
	must(t, err)
	f["host: gateway address"] = addressesOn(t, host, bridge.Index)
	f["host: routes"] = mainRoutes(t, host)
	ports, err := BridgePorts(host, "br-front")
	must(t, err)
	f["host: ports of the bridge"] = fmt.Sprint(len(ports))
	for what, at := range map[string]*Namespace{"net.ipv4.ip_forward": host, "net.ipv6.conf.eth0.disable_ipv6": container} {
		f["sysctl: "+what], err = ReadSysctl(at, what)
		must(t, err)
	}
	f["host: listening"] = listening(t, host)
	return f
}

func addressesOn(t *testing.T, ns *Namespace, link int) string {
	t.Helper()
	addrs, err := Addresses(ns)
	must(t, err)
	var out []string
	for _, a := range addrs {
		if a.Link == link && a.Scope != "link" {
			out = append(out, a.Prefix.String())
		}
	}
	return strings.Join(out, " ")
}

func mainRoutes(t *testing.T, ns *Namespace) string {
	t.Helper()
	routes, err := Routes(ns)
	must(t, err)
	var out []string
	for _, r := range routes {
		if r.Table == unix.RT_TABLE_MAIN && r.Dst.Addr().Is4() && !strings.HasPrefix(r.Dst.String(), "172.17.") {
			out = append(out, routeText(r))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// routeText is a route in the words of `ip route`.
func routeText(r Route) string {
	text := r.Dst.String()
	if r.Dst.Bits() == 0 {
		text = "default"
	}
	if r.Gateway.IsValid() {
		text += " via " + r.Gateway.String()
	}
	return text
}

func listening(t *testing.T, ns *Namespace) string {
	t.Helper()
	sockets, err := Sockets(ns)
	must(t, err)
	ports := map[string]bool{}
	for _, s := range sockets {
		if s.State == "LISTEN" || s.Proto == UDP && s.State == "CLOSE" {
			ports[fmt.Sprintf("%s %d", s.Proto, s.Local.Port())] = true
		}
	}
	var out []string
	for p := range ports {
		out = append(out, p)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// duties are what the rules have to do, each found in Docker's iptables rules by one pattern and in our
// nf_tables rules by another. reason is for duties that are done in another way on purpose.
var duties = []struct{ name, docker, ours, reason string }{
	{"local addresses go to the port chain", `-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER`, `prerouting: fib daddr type local .*jump publish`, ""},
	{"also for the host itself", `-A OUTPUT ! -d 127\.0\.0\.0/8 -m addrtype --dst-type LOCAL -j DOCKER`, `output: fib daddr type local .*jump publish`,
		"loopback is left out in the port's own rule, so that one output rule serves networks with and without a proxy"},
	{"publish tcp 8080", `-A DOCKER ! -i br-front -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172\.30\.0\.2:80`,
		`publish: iifname != "br-front" ip daddr != 127\.0\.0\.0/8 tcp dport 8080 .*dnat to 172\.30\.0\.2:80`, ""},
	{"publish udp 5353 at one address", `-A DOCKER -d 127\.0\.0\.1/32 ! -i br-front -p udp -m udp --dport 5353 -j DNAT --to-destination 172\.30\.0\.2:53`,
		`publish: ip daddr 127\.0\.0\.1 .*udp dport 5353 .*dnat to 172\.30\.0\.2:53`, ""},
	{"masquerade what leaves", `-A POSTROUTING -s 172\.30\.0\.0/16 ! -o br-front -j MASQUERADE`, `postrouting: ip saddr 172\.30\.0\.0/16 oifname != "br-front" .*masquerade`, ""},
	{"masquerade a container that calls itself", `-A POSTROUTING -s 172\.30\.0\.2/32 -d 172\.30\.0\.2/32 .* -j MASQUERADE`, "",
		"with a proxy a container that calls its own published port is served by the proxy; the rule would never match"},
	{"return from the bridge", `-A DOCKER -i br-front -j RETURN`, "", "each port's own rule has iifname != the bridge already"},
	{"answers pass", `-A FORWARD -o br-front -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`, `forward: ct state established,related .*accept`,
		"one rule for all networks"},
	{"published ports pass", `-A DOCKER -d 172\.30\.0\.2/32 ! -i br-front -o br-front -p tcp -m tcp --dport 80 -j ACCEPT`,
		`admit: iifname != "br-front" oifname "br-front" ip daddr 172\.30\.0\.2 tcp dport 80 .*accept`, ""},
	{"out of the network passes", `-A FORWARD -i br-front ! -o br-front -j ACCEPT`, `networks: iifname "br-front" .*accept`, ""},
	{"between containers passes", `-A FORWARD -i br-front -o br-front -j ACCEPT`, `networks: iifname "br-front" .*accept`, "one rule for both"},
	{"into the network is shut", `:FORWARD DROP`, `networks: oifname "br-front" .*drop`,
		"a drop for each bridge, and not a policy: a host that forwards for others keeps doing so"},
	{"isolation, leaving", `-A DOCKER-ISOLATION-STAGE-1 -i br-front ! -o br-front -j DOCKER-ISOLATION-STAGE-2`, `isolate: iifname "br-front" oifname != "br-front" .*jump isolate-2`, ""},
	{"isolation, entering", `-A DOCKER-ISOLATION-STAGE-2 -o br-front -j DROP`, `isolate-2: oifname "br-front" .*drop`, ""},
	{"a chain for the administrator", `-A FORWARD -j DOCKER-USER`, "", "with nf_tables an administrator adds a table of his own; the names do not clash"},
}

// TestAgainstEngine makes the same network and container with Docker Engine and with this package, and
// compares what the kernel then has. A difference without a reason is a failure.
func TestAgainstEngine(t *testing.T) {
	e := engine.Start(t, "")
	e.BusyBox(t)
	d := func(args ...string) string { return strings.TrimSpace(e.Docker(t, nil, args...)) }
	d("network", "create", "--subnet", "172.30.0.0/16", "--opt", "com.docker.network.bridge.name=br-front", "front")
	d("run", "-d", "--name", "web", "--network", "front", "-p", "8080:80", "-p", "127.0.0.1:5353:53/udp", "busybox", "sleep", "600")
	pid, err := strconv.Atoi(d("inspect", "--format", "{{.State.Pid}}", "web"))
	must(t, err)
	host := namespaceOf(t, e.Pid)
	docker := networkFacts(t, host, namespaceOf(t, pid))
	docker["container: resolv.conf"] = d("exec", "web", "cat", "/etc/resolv.conf")
	iptables := run(t, host, "iptables-legacy-save")

	c := newController(t)
	n := newNetwork(t, c, NetworkSpec{Name: "front", Bridge: "br-front", Proxy: true, Subnet: netip.MustParsePrefix("172.30.0.0/16")})
	web, _ := connect(t, n, "web", "8080:80", "127.0.0.1:5353:53/udp")
	ours := networkFacts(t, c.host, web.NS)
	ours["container: resolv.conf"] = strings.TrimSpace(ResolvConf(nil))
	rules, err := Rules(c.host)
	must(t, err)

	var table strings.Builder
	compareFacts(t, &table, docker, ours)
	compareDuties(t, &table, iptables, rules)
	t.Logf("\n%s", &table)
	if t.Failed() {
		t.Logf("Docker has:\n%s", iptables)
	}
}

func compareFacts(t *testing.T, table *strings.Builder, docker, ours facts) {
	names := make([]string, 0, len(docker))
	for name := range docker {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		verdict := "same"
		if docker[name] != ours[name] {
			t.Errorf("%s: Docker has %q, we have %q", name, docker[name], ours[name])
			verdict = "DIFFERS"
		}
		fmt.Fprintf(table, "%-44s %-40q %s\n", name, docker[name], verdict)
	}
}

func compareDuties(t *testing.T, table *strings.Builder, iptables string, rules []Rule) {
	var ours strings.Builder
	for _, r := range rules {
		fmt.Fprintf(&ours, "%s: %s\n", r.Chain, r.Text)
	}
	for _, d := range duties {
		if !regexp.MustCompile(`(?m)^` + d.docker).MatchString(iptables) {
			t.Errorf("%s: Docker has no rule like %s", d.name, d.docker)
		}
		if d.ours != "" && !regexp.MustCompile(`(?m)^`+d.ours).MatchString(ours.String()) {
			t.Errorf("%s: we have no rule like %s in\n%s", d.name, d.ours, &ours)
		}
		verdict := "same"
		if d.reason != "" {
			verdict = "differs on purpose: " + d.reason
		}
		fmt.Fprintf(table, "rule: %-38s %s\n", d.name, verdict)
	}
}
