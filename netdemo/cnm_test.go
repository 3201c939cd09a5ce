package netdemo

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestStepByStep makes each object by itself and looks at the kernel thing that it stands for.
func TestStepByStep(t *testing.T) {
	c := newController(t)
	n := newNetwork(t, c, NetworkSpec{Name: "front", Bridge: "br-front"})
	bridge, err := LinkByName(c.host, "br-front")
	if err != nil || bridge.Kind != "bridge" || !bridge.Up {
		t.Errorf("bridge = %+v, %v", bridge, err)
	}
	e, err := n.CreateEndpoint(EndpointSpec{Name: "web"})
	must(t, err)
	if addrs, ok := n.Lookup("web"); !ok || addrs[0].String() != "172.17.0.2" {
		t.Errorf("Lookup(web) = %v, %v", addrs, ok)
	}
	sb := newSandbox(t, "web")
	must(t, e.Join(sb))
	port, err := LinkByName(c.host, e.HostLink)
	if err != nil || port.Master != bridge.Index {
		t.Errorf("host end = %+v, %v; want a port of the bridge", port, err)
	}
	eth0, err := LinkByName(sb.NS, "eth0")
	if err != nil || eth0.Peer != port.Index || port.Peer != eth0.Index || eth0.MAC.String() != "02:42:ac:11:00:02" {
		t.Errorf("the ends are %+v and %+v, %v", port, eth0, err)
	}
	if ns, peer, err := Peer(sb.NS, eth0, []*Namespace{c.host}); err != nil || ns != c.host || peer.Name != e.HostLink {
		t.Errorf("Peer = %v, %v; want %s", peer.Name, err, e.HostLink)
	}
	if r, err := RouteTo(sb.NS, netip.MustParseAddr("8.8.8.8")); err != nil || r.Gateway.String() != "172.17.0.1" {
		t.Errorf("default route = %+v, %v", r, err)
	}
	if err := e.Delete(); !errors.Is(err, ErrInUse) {
		t.Errorf("Delete while joined = %v; want ErrInUse", err)
	}
	if err := n.Delete(); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "web") {
		t.Errorf("Delete with an endpoint = %v; want ErrInUse naming web", err)
	}
	must(t, e.Leave(sb))
	if names := linkNames(t, sb.NS); len(names) != 0 {
		t.Errorf("after Leave the sandbox has %v", names)
	}
	must(t, e.Delete())
	must(t, n.Delete())
	wantClean(t, c)
}

func TestConnectWhileRunning(t *testing.T) {
	c := newController(t)
	front := newNetwork(t, c, NetworkSpec{Name: "front"})
	back := newNetwork(t, c, NetworkSpec{Name: "back"})
	web, first := connect(t, front, "web")
	db, _ := connect(t, back, "db")
	serveTCP(t, db.NS, ":80", "db")
	serveTCP(t, web.NS, ":80", "web")
	wantSilence(t, web.NS, "172.18.0.2:80")
	second, err := back.Connect(web, EndpointSpec{Name: "web"})
	must(t, err)
	if second.Joined.Interface != "eth1" {
		t.Errorf("second interface is %s; want eth1", second.Joined.Interface)
	}
	wantAnswer(t, web.NS, "172.18.0.2:80", "db 172.18.0.3")
	wantAnswer(t, db.NS, "172.18.0.3:80", "web")
	// The network that led out is left: the other one leads out now.
	must(t, first.Leave(web))
	if r, err := RouteTo(web.NS, netip.MustParseAddr("8.8.8.8")); err != nil || r.Gateway.String() != "172.18.0.1" {
		t.Errorf("default route after leaving = %+v, %v", r, err)
	}
	must(t, second.Disconnect(web))
	wantSilence(t, web.NS, "172.18.0.2:80")
	// Another process finds the same objects.
	again, err := OpenController(c.root, c.host)
	must(t, err)
	found, err := again.Network("front")
	must(t, err)
	e, err := found.Endpoint("web")
	if err != nil || e.Joined != nil || e.Address != first.Address {
		t.Errorf("endpoint = %+v, %v", e, err)
	}
}

func TestInternal(t *testing.T) {
	c := newController(t)
	out := newOutside(t, c.host)
	serveTCP(t, out, ":80", "outside")
	n := newNetwork(t, c, NetworkSpec{Name: "shut", Internal: true})
	a, _ := connect(t, n, "a")
	b, _ := connect(t, n, "b")
	serveTCP(t, b.NS, ":80", "b")
	wantAnswer(t, a.NS, "172.17.0.3:80", "b")
	wantSilence(t, a.NS, "203.0.113.2:80")
	// Nor with a route that a container with the right to do so gives itself.
	must(t, WriteSysctl(c.host, "net.ipv4.ip_forward", "1"))
	must(t, AddDefaultRoute(a.NS, n.Spec.Gateway))
	wantSilence(t, a.NS, "203.0.113.2:80")
}

func TestIPv6(t *testing.T) {
	for name, proxy := range map[string]bool{"proxy": true, "hairpin": false} {
		t.Run(name, func(t *testing.T) {
			c := newController(t)
			out := newOutside(t, c.host)
			addNoDAD(t, c.host, "uplink", "2001:db8::1/64")
			addNoDAD(t, out, "eth0", "2001:db8::2/64")
			n := newNetwork(t, c, NetworkSpec{Name: "six", Subnet6: netip.MustParsePrefix("fd00:6::/64"), Proxy: proxy})
			web, _ := connect(t, n, "web", "8080:80")
			db, _ := connect(t, n, "db")
			for _, ns := range []*Namespace{web.NS, db.NS, out} {
				serveTCP(t, ns, ":80", "six")
			}
			wantAnswer(t, web.NS, "[fd00:6::3]:80", "six fd00:6::2")
			wantAnswer(t, web.NS, "[2001:db8::2]:80", "six 2001:db8::1")
			wantAnswer(t, out, "[2001:db8::1]:8080", "six 2001:db8::2")
			wantAnswer(t, out, "203.0.113.1:8080", "six 203.0.113.2")
			wantSilence(t, out, "[fd00:6::2]:80")
			if proxy {
				wantAnswer(t, c.host, "[::1]:8080", "six")
			}
			for _, p := range []Path{
				{From: web.NS, Host: c.host, To: out, Dst: netip.MustParseAddrPort("[2001:db8::2]:80")},
				{From: out, Host: c.host, To: web.NS, Dst: netip.MustParseAddrPort("[2001:db8::1]:8080")},
			} {
				if d, err := Diagnose(p); err != nil || d.Broken() != nil {
					t.Errorf("Diagnose: %v\n%s", err, d)
				}
			}
		})
	}
}

func addNoDAD(t *testing.T, ns *Namespace, link, prefix string) {
	t.Helper()
	must(t, AddAddress(ns, link, netip.MustParsePrefix(prefix)))
}

// TestModes: what "none", "container:" and "host" come to.
func TestModes(t *testing.T) {
	c := newController(t)
	none := newHost(t)
	if names := linkNames(t, none); len(names) != 0 {
		t.Errorf("none has %v", names)
	}
	if routes, err := Routes(none); err != nil || len(routes) > 4 {
		t.Errorf("none has routes %v, %v", routes, err) // only lo's own
	}
	n := newNetwork(t, c, NetworkSpec{Name: "front"})
	web, _ := connect(t, n, "web")
	shared, err := OpenNamespace(web.NS.Path())
	must(t, err)
	defer shared.Close()
	a, _ := web.NS.Inode()
	if b, err := shared.Inode(); err != nil || a != b {
		t.Errorf("container: mode gives inode %d, %v; want %d", b, err, a)
	}
	serveTCP(t, web.NS, "127.0.0.1:80", "local")
	wantAnswer(t, shared, "127.0.0.1:80", "local")
	if _, err := OpenNamespace("/dev/null"); !errors.Is(err, ErrNotNamespace) {
		t.Errorf("OpenNamespace(/dev/null) = %v; want ErrNotNamespace", err)
	}
}

// TestErrors wants each a clear error, and nothing half-made after it.
func TestErrors(t *testing.T) {
	c := newController(t)
	n := newNetwork(t, c, NetworkSpec{Name: "front", Subnet: netip.MustParsePrefix("10.1.0.0/30"), Proxy: true})
	wantErr := func(what string, err, want error, naming string) {
		t.Helper()
		if !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), naming) || Explain(err).Likely == "" {
			t.Errorf("%s = %v (explained %q); want %v naming %q", what, err, Explain(err).Likely, want, naming)
		}
	}
	before := state(t, c)
	_, err := c.CreateNetwork(NetworkSpec{Name: "front"})
	wantErr("same name", err, ErrNameTaken, "front")
	_, err = c.CreateNetwork(NetworkSpec{Name: "other", Subnet: netip.MustParsePrefix("10.1.0.0/24")})
	wantErr("overlap", err, ErrOverlap, "10.1.0.0/30")
	_, err = c.CreateNetwork(NetworkSpec{Name: "other", Bridge: n.Spec.Bridge, Subnet: netip.MustParsePrefix("10.2.0.0/24")})
	wantErr("same bridge", err, ErrNameTaken, n.Spec.Bridge)
	wantSame(t, c, before, "failed networks")

	web := newSandbox(t, "web")
	e, err := n.Connect(web, EndpointSpec{Name: "web"})
	must(t, err)
	before = state(t, c)
	_, err = n.CreateEndpoint(EndpointSpec{Name: "web"})
	wantErr("same endpoint", err, ErrNameTaken, "web")
	_, err = n.CreateEndpoint(EndpointSpec{Name: "db"})
	wantErr("full", err, ErrPoolExhausted, "10.1.0.0/30")
	wantSame(t, c, before, "failed endpoints")

	two := newNetwork(t, c, NetworkSpec{Name: "two", Proxy: true})
	before = state(t, c)
	l := inHost(t, c.host, func() (net.Listener, error) { return net.Listen("tcp", ":7070") })
	_, err = two.Connect(web, EndpointSpec{Name: "web", Ports: parsePorts(t, "9090:90", "7070:70")})
	wantErr("port of a program", err, ErrPortInUse, fmt.Sprintf("pid %d", os.Getpid()))
	l.Close()
	wantSame(t, c, before, "a failed publish")
	if names := linkNames(t, web.NS); len(names) != 1 {
		t.Errorf("the sandbox has %v", names)
	}
	published, err := two.Connect(web, EndpointSpec{Name: "web", Ports: parsePorts(t, "9090:90")})
	must(t, err)
	_, err = two.Connect(newSandbox(t, "z"), EndpointSpec{Name: "z", Ports: parsePorts(t, "127.0.0.1:9090:90")})
	wantErr("port of a container", err, ErrPortInUse, "web on two")
	_, err = two.Connect(web, EndpointSpec{Name: "again"})
	if err == nil {
		t.Error("one sandbox joined a network twice")
	}
	must(t, published.Disconnect(web))

	must(t, DeleteLink(c.host, two.Spec.Bridge))
	before = state(t, c)
	_, err = two.CreateEndpoint(EndpointSpec{Name: "late"})
	wantErr("bridge gone", err, ErrBridgeGone, two.Spec.Bridge)
	wantSame(t, c, before, "an endpoint without a bridge")
	must(t, two.Delete())
	must(t, e.Disconnect(web))
	must(t, n.Delete())
	wantClean(t, c)
}

// state is everything of the controller that can be seen: files, links, rules, proxies.
func state(t *testing.T, c *Controller) string {
	t.Helper()
	out, err := exec.Command("find", c.root, "-not", "-name", ".*", "-not", "-type", "d").Output()
	must(t, err)
	chains, err := Chains(c.host)
	must(t, err)
	return strings.Join(linkNames(t, c.host), " ") + "\n" + string(out) + countersOff(RulesetText(chains))
}

func countersOff(s string) string {
	var out []string
	words := strings.Fields(s)
	for i := 0; i < len(words); i++ {
		if words[i] == "counter" {
			i += 4
			continue
		}
		out = append(out, words[i])
	}
	return strings.Join(out, " ")
}

func wantSame(t *testing.T, c *Controller, before, after string) {
	t.Helper()
	if now := state(t, c); now != before {
		t.Errorf("left behind by %s:\n%s\nbefore:\n%s", after, now, before)
	}
}

// TestManyContainers: 200 on one bridge; the time for each must not grow, names resolve, and all of
// it can be taken down.
func TestManyContainers(t *testing.T) {
	c := newController(t)
	n := newNetwork(t, c, NetworkSpec{Name: "crowd"})
	const count = 200
	sandboxes := make([]*Sandbox, count)
	ends := make([]*Endpoint, count)
	took := make([]time.Duration, count)
	for i := range count {
		sandboxes[i] = newSandbox(t, fmt.Sprintf("c%d", i))
		start := time.Now()
		e, err := n.Connect(sandboxes[i], EndpointSpec{Name: fmt.Sprintf("c%d", i)})
		must(t, err)
		took[i], ends[i] = time.Since(start), e
	}
	first, last := sum(took[:50])/50, sum(took[150:])/50
	t.Logf("per container: first 50 %v, last 50 %v", first, last)
	if last > 3*first {
		t.Errorf("set-up grows: %v for the first, %v for the last", first, last)
	}
	resolver(t, c, sandboxes[0], ResolverSpec{})
	for _, i := range []int{1, 99, 199} {
		wantNames(t, sandboxes[0].NS, fmt.Sprintf("c%d", i), ends[i].Address.String())
	}
	serveTCP(t, sandboxes[199].NS, ":80", "last")
	wantAnswer(t, sandboxes[0].NS, ends[199].Address.String()+":80", "last")
	start := time.Now()
	for i, e := range ends {
		must(t, e.Disconnect(sandboxes[i]))
	}
	t.Logf("taken down: %v each", time.Since(start)/count)
	must(t, n.Delete())
	wantClean(t, c)
}

func sum(all []time.Duration) (s time.Duration) {
	for _, d := range all {
		s += d
	}
	return s
}

// TestTogether: many processes' worth of controllers at work in one folder at once.
func TestTogether(t *testing.T) {
	c := newController(t)
	n := newNetwork(t, c, NetworkSpec{Name: "front"})
	var all sync.WaitGroup
	for i := range 8 {
		sb := newSandbox(t, fmt.Sprintf("c%d", i))
		all.Go(func() {
			own, err := OpenController(c.root, c.host)
			if err != nil {
				t.Error(err)
				return
			}
			for range 5 {
				mine, err := own.Network("front")
				if err != nil {
					t.Error(err)
					return
				}
				e, err := mine.Connect(sb, EndpointSpec{Name: sb.ID, Ports: parsePorts(t, "80")})
				if err != nil {
					t.Error(err)
					return
				}
				if err := e.Disconnect(sb); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	must(t, n.Delete())
	wantClean(t, c)
}

// TestSandboxDied: the container's namespace is gone, and its links with it.
func TestSandboxDied(t *testing.T) {
	c := newController(t)
	n := newNetwork(t, c, NetworkSpec{Name: "front"})
	ns, err := NewNamespace()
	must(t, err)
	e, err := n.Connect(&Sandbox{ID: "web", NS: ns}, EndpointSpec{Name: "web", Ports: parsePorts(t, "8080:80")})
	must(t, err)
	ns.Close()
	must(t, e.Disconnect(nil))
	must(t, n.Delete())
	wantClean(t, c)
}
