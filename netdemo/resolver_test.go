package netdemo

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// lookup asks the resolver that a process in ns would ask.
func lookup(t *testing.T, ns *Namespace, name, network string) ([]string, error) {
	t.Helper()
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, proto, _ string) (c net.Conn, err error) {
		err = ns.Do(func() error {
			c, err = net.Dial(proto, ResolverAddress+":53")
			return err
		})
		return c, err
	}}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if addr, err := netip.ParseAddr(name); err == nil {
		return r.LookupAddr(ctx, addr.String())
	}
	ips, err := r.LookupNetIP(ctx, network, name+".")
	var out []string
	for _, ip := range ips {
		out = append(out, ip.Unmap().String())
	}
	slices.Sort(out)
	return out, err
}

func wantNames(t *testing.T, ns *Namespace, name, want string) {
	t.Helper()
	got, err := lookup(t, ns, name, "ip4")
	if err != nil || strings.Join(got, " ") != want {
		t.Errorf("lookup(%s) = %v, %v; want %s", name, got, err, want)
	}
}

func wantNoName(t *testing.T, ns *Namespace, name string) {
	t.Helper()
	got, err := lookup(t, ns, name, "ip4")
	if d, ok := errors.AsType[*net.DNSError](err); !ok || !d.IsNotFound {
		t.Errorf("lookup(%s) = %v, %v; want no such name", name, got, err)
	}
}

func resolver(t *testing.T, c *Controller, sb *Sandbox, spec ResolverSpec) {
	t.Helper()
	r, err := c.StartResolver(sb, spec)
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
}

func TestResolver(t *testing.T) {
	c := newController(t)
	front := newNetwork(t, c, NetworkSpec{Name: "front", Subnet6: netip.MustParsePrefix("fd00:1::/64")})
	back := newNetwork(t, c, NetworkSpec{Name: "back"})
	web, _ := connect(t, front, "web")
	far, _ := connect(t, back, "far")
	for _, name := range []string{"db1", "DB2"} {
		sb := newSandbox(t, name)
		e, err := front.Connect(sb, EndpointSpec{Name: name, Aliases: []string{"db"}})
		must(t, err)
		t.Cleanup(func() { must(t, e.Disconnect(sb)) })
	}
	resolver(t, c, web, ResolverSpec{Links: map[string]string{"database": "db1"}})
	resolver(t, c, far, ResolverSpec{})

	wantNames(t, web.NS, "db1", "172.17.0.3")
	wantNames(t, web.NS, "db2", "172.17.0.4")
	wantNames(t, web.NS, "db1.front", "172.17.0.3")
	wantNames(t, web.NS, "db", "172.17.0.3 172.17.0.4")
	wantNames(t, web.NS, "database", "172.17.0.3")
	wantNoName(t, web.NS, "far")
	wantNoName(t, far.NS, "web")
	if got, err := lookup(t, web.NS, "db1", "ip6"); err != nil || strings.Join(got, " ") != "fd00:1::3" {
		t.Errorf("AAAA db1 = %v, %v", got, err)
	}
	if got, err := lookup(t, web.NS, "172.17.0.3", ""); err != nil || got[0] != "db1.front." {
		t.Errorf("PTR = %v, %v", got, err)
	}
	// Connected while running, the other network's names are there at once; and gone after.
	e, err := back.Connect(web, EndpointSpec{Name: "web"})
	must(t, err)
	wantNames(t, web.NS, "far", "172.18.0.2")
	wantNames(t, far.NS, "web", "172.18.0.3")
	must(t, e.Disconnect(web))
	wantNoName(t, far.NS, "web")
}

// Only the name changes: found it is as before, and the old name is another's to take.
func TestRenameEndpoint(t *testing.T) {
	c := newController(t)
	n := newNetwork(t, c, NetworkSpec{Name: "front"})
	sb := newSandbox(t, "0123456789ab")
	resolver(t, c, sb, ResolverSpec{})
	e, err := n.Connect(sb, EndpointSpec{Name: sb.ID, DNSName: "web", Aliases: []string{"site"}})
	must(t, err)
	wantNames(t, sb.NS, "web", "172.17.0.2")
	must(t, e.Rename("Shop"))
	wantNames(t, sb.NS, "shop", "172.17.0.2")
	wantNames(t, sb.NS, "site", "172.17.0.2")
	wantNames(t, sb.NS, sb.ID, "172.17.0.2")
	wantNoName(t, sb.NS, "web")
	if got, err := lookup(t, sb.NS, "172.17.0.2", ""); err != nil || got[0] != "Shop.front." {
		t.Errorf("PTR = %v, %v", got, err)
	}
	must(t, e.Rename("shop")) // the same in the DNS
	wantNames(t, sb.NS, "shop", "172.17.0.2")
	if err := e.Rename("a b"); !errors.Is(err, ErrInvalid) {
		t.Errorf("renamed to \"a b\": %v", err)
	}
	found, err := n.Endpoint(sb.ID)
	must(t, err)
	must(t, found.Disconnect(sb))
	left, err := os.ReadDir(c.path("names", "front"))
	if err != nil || len(left) > 0 {
		t.Errorf("names left: %v, %v", left, err)
	}
}

// A maker that is killed leaves an address and half a record.
func TestForgetEndpoint(t *testing.T) {
	c := newController(t)
	n := newNetwork(t, c, NetworkSpec{Name: "front"})
	dead := &Endpoint{c: c, Network: "front", Name: "dead"}
	_, err := n.requestFrom(n.Spec.Subnet, dead.holder(), netip.Addr{})
	must(t, err)
	must(t, os.WriteFile(beside(dead.recordPath()), []byte("{"), 0o600))
	_, alive := connect(t, n, "alive")
	must(t, n.Forget("dead"))
	must(t, n.Forget("alive"))
	pool, err := n.pool(n.Spec.Subnet)
	must(t, err)
	leases, err := pool.Leases()
	if err != nil || len(leases) != 2 || leases[1].Addr != alive.Address {
		t.Errorf("leases = %v, %v; want those of the gateway and of alive", leases, err)
	}
	if _, err := os.Stat(beside(dead.recordPath())); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a record: %v; want none", err)
	}
	// Of what nobody forgot, the network's removal takes half records along.
	shut := newNetwork(t, c, NetworkSpec{Name: "shut"})
	must(t, os.WriteFile(beside((&Endpoint{c: c, Network: "shut", Name: "dead"}).recordPath()), []byte("{"), 0o600))
	must(t, shut.Delete())
}

// TestResolverUpstream puts a name server on the host's loopback, where no container can reach it.
func TestResolverUpstream(t *testing.T) {
	c := newController(t)
	n := newNetwork(t, c, NetworkSpec{Name: "front"})
	web, _ := connect(t, n, "web")
	upstream := fakeServer(t, c.host, "127.0.0.53:53")
	dead := netip.MustParseAddrPort("127.0.0.54:53")
	resolver(t, c, web, ResolverSpec{Upstreams: []netip.AddrPort{dead, upstream}, Timeout: 500 * time.Millisecond})
	wantNames(t, web.NS, "example.org", "192.0.2.7")
	wantNames(t, web.NS, "web", "172.17.0.2")
	wantNoName(t, web.NS, "nowhere")
}

// fakeServer knows example.org, and that there is nothing else.
func fakeServer(t *testing.T, ns *Namespace, address string) netip.AddrPort {
	t.Helper()
	var conn net.PacketConn
	must(t, ns.Do(func() (err error) { conn, err = net.ListenPacket("udp4", address); return err }))
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, client, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			q, err := parseQuery(b[:n])
			if err != nil {
				continue
			}
			answer := buildAnswer(q, dnsmessage.RCodeNameError, nil, 512)
			if strings.EqualFold(q.Name.String(), "example.org.") {
				answer = buildAnswer(q, dnsmessage.RCodeSuccess, addressRecords(q.Type, []netip.Addr{netip.MustParseAddr("192.0.2.7")}), 512)
			}
			conn.WriteTo(answer, client)
		}
	}()
	return netip.MustParseAddrPort(address)
}

// TestResolverTruncates: an alias with more bearers than fit into a UDP answer is asked for over TCP.
func TestResolverTruncates(t *testing.T) {
	c := newController(t)
	n := newNetwork(t, c, NetworkSpec{Name: "front"})
	for i := range 120 {
		e, err := n.CreateEndpoint(EndpointSpec{Name: "w" + string(rune('a'+i/26)) + string(rune('a'+i%26)), Aliases: []string{"all"}})
		must(t, err)
		t.Cleanup(func() { must(t, e.Delete()) })
	}
	asker, _ := connect(t, n, "asker")
	resolver(t, c, asker, ResolverSpec{})
	if got, err := lookup(t, asker.NS, "all", "ip4"); err != nil || len(got) != 120 {
		t.Errorf("lookup(all) = %d addresses, %v; want 120", len(got), err)
	}
}
