package netdemo

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cutaway/internal/needs"
)

// The test binary is started again as the userland proxy.
func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

// newHost makes an empty namespace that plays a host, gone after the test.
func newHost(t testing.TB) *Namespace {
	t.Helper()
	needs.Root(t)
	ns, err := NewNamespace()
	must(t, err)
	t.Cleanup(func() { ns.Close() })
	must(t, SetUp(ns, "lo"))
	return ns
}

// newController opens a controller on a new host. The proxies of published ports are no children that
// end with this process, so they are stopped also where a test fails before it disconnects.
func newController(t testing.TB) *Controller {
	t.Helper()
	host := newHost(t)
	t.Cleanup(func() { must(t, StopProxies(host)) })
	c, err := OpenController(t.TempDir(), host)
	must(t, err)
	return c
}

func newSandbox(t testing.TB, id string) *Sandbox {
	return &Sandbox{ID: id, NS: newHost(t)}
}

func newNetwork(t testing.TB, c *Controller, spec NetworkSpec) *Network {
	t.Helper()
	n, err := c.CreateNetwork(spec)
	must(t, err)
	return n
}

// connect joins a new sandbox to the network, and takes it off again after the test.
func connect(t testing.TB, n *Network, name string, ports ...string) (*Sandbox, *Endpoint) {
	t.Helper()
	sb := newSandbox(t, name)
	e, err := n.Connect(sb, EndpointSpec{Name: name, Ports: parsePorts(t, ports...)})
	must(t, err)
	t.Cleanup(func() { must(t, e.Disconnect(sb)) })
	return sb, e
}

func parsePorts(t testing.TB, texts ...string) (all []PortSpec) {
	t.Helper()
	for _, text := range texts {
		ports, err := ParsePorts(text)
		must(t, err)
		all = append(all, ports...)
	}
	return all
}

// newOutside puts an outside host behind a link of the host: 203.0.113.1/24 (host), .2 (outside). The
// outside has no route back to any container.
func newOutside(t testing.TB, host *Namespace) *Namespace {
	t.Helper()
	out := newHost(t)
	must(t, CreateVeth(host, VethSpec{Name: "uplink", Peer: "eth0", PeerIn: out}))
	must(t, AddAddress(host, "uplink", netip.MustParsePrefix("203.0.113.1/24")))
	must(t, AddAddress(out, "eth0", netip.MustParsePrefix("203.0.113.2/24")))
	must(t, SetUp(out, "eth0"))
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serveTCP answers every connection in ns with reply and the address that it sees the client at.
func serveTCP(t testing.TB, ns *Namespace, address, reply string) {
	t.Helper()
	var l net.Listener
	must(t, ns.Do(func() (err error) { l, err = net.Listen("tcp", address); return err }))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "%s %s", reply, c.RemoteAddr().(*net.TCPAddr).IP)
			c.Close()
		}
	}()
}

// ask connects from ns and returns what it is told. A second is too little where an answer is due: the
// first packet may be lost while a link comes up, and is sent again after one second.
func ask(ns *Namespace, address string, patience time.Duration) (string, error) {
	var text string
	err := ns.Do(func() error {
		d := net.Dialer{Timeout: patience}
		c, err := d.Dial("tcp", address)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		b := make([]byte, 256)
		n, err := c.Read(b)
		text = string(b[:n])
		return err
	})
	return text, err
}

func wantAnswer(t *testing.T, ns *Namespace, address, want string) {
	t.Helper()
	got, err := ask(ns, address, time.Minute)
	if err != nil || !strings.HasPrefix(got, want) {
		t.Errorf("ask(%s) = %q, %v; want %q", address, got, err, want)
	}
}

func wantSilence(t *testing.T, ns *Namespace, address string) {
	t.Helper()
	if got, err := ask(ns, address, time.Second); err == nil {
		t.Errorf("ask(%s) = %q; want no answer", address, got)
	}
}

// run runs a program in ns and returns its output.
func run(t testing.TB, ns *Namespace, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := ns.Do(cmd.Run); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, &out)
	}
	return out.String()
}

// linkNames lists the links of ns other than lo.
func linkNames(t testing.TB, ns *Namespace) (names []string) {
	t.Helper()
	links, err := Links(ns)
	must(t, err)
	for _, l := range links {
		if l.Name != "lo" {
			names = append(names, l.Name)
		}
	}
	return names
}

// wantClean checks that neither links, rules, proxies nor files of a controller are left.
func wantClean(t testing.TB, c *Controller) {
	t.Helper()
	if names := linkNames(t, c.host); len(names) != 0 {
		t.Errorf("links left: %v", names)
	}
	chains, err := Chains(c.host)
	must(t, err)
	if len(chains) != 0 {
		t.Errorf("rules left:\n%s", RulesetText(chains))
	}
	for _, dir := range []string{"networks", "endpoints", "joined", "names", "pools", "ports", "sandboxes"} {
		if names, _ := (claims{c.path(dir)}).names(); len(names) != 0 {
			t.Errorf("%s left: %v", dir, names)
		}
	}
}
