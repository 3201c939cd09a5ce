package netdemo

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// world is a host with two containers on one network, one on another, and an outside.
type world struct {
	c            *Controller
	host, out    *Namespace
	front, back  *Network
	web, db, far *Sandbox
	webEnd       *Endpoint
}

func newWorld(t *testing.T) *world {
	w := &world{c: newController(t)}
	w.host = w.c.host
	w.out = newOutside(t, w.host)
	w.front = newNetwork(t, w.c, NetworkSpec{Name: "front"})
	w.back = newNetwork(t, w.c, NetworkSpec{Name: "back"})
	w.web, w.webEnd = connect(t, w.front, "web", "8080:80")
	w.db, _ = connect(t, w.front, "db")
	w.far, _ = connect(t, w.back, "far")
	for _, ns := range []*Namespace{w.web.NS, w.db.NS, w.far.NS, w.out} {
		serveTCP(t, ns, ":80", "hello")
	}
	return w
}

func (w *world) toDB() Path {
	return Path{From: w.web.NS, Host: w.host, To: w.db.NS, Dst: netip.MustParseAddrPort("172.17.0.3:80")}
}

func (w *world) toOutside() Path {
	return Path{From: w.web.NS, Host: w.host, To: w.out, Dst: netip.MustParseAddrPort("203.0.113.2:80")}
}

func (w *world) toWebFromOutside() Path {
	return Path{From: w.out, Host: w.host, To: w.web.NS, Dst: netip.MustParseAddrPort("203.0.113.1:8080")}
}

// TestDiagnoseWorking: no way that works may be called broken.
func TestDiagnoseWorking(t *testing.T) {
	w := newWorld(t)
	hostToWeb := Path{From: w.host, Host: w.host, To: w.web.NS, Dst: netip.MustParseAddrPort("172.17.0.2:80")}
	hostPublished := Path{From: w.host, Host: w.host, To: w.web.NS, Dst: netip.MustParseAddrPort("203.0.113.1:8080")}
	for name, path := range map[string]Path{"container": w.toDB(), "outside": w.toOutside(), "published": w.toWebFromOutside(),
		"from host": hostToWeb, "host published": hostPublished} {
		d, err := Diagnose(path)
		if _, askErr := ask(path.From, path.Dst.String(), time.Minute); askErr != nil {
			t.Errorf("%s does not work: %v", name, askErr)
		}
		if err != nil || d.Broken() != nil {
			t.Errorf("%s: %v\n%s", name, err, d)
		}
		t.Logf("%s\n%s", name, d)
	}
}

// TestDiagnoseBroken breaks one piece at a time, sees that the connection fails, and wants the
// broken piece named.
func TestDiagnoseBroken(t *testing.T) {
	for _, c := range []struct {
		name        string
		path        func(*world) Path
		breakIt     func(*testing.T, *world)
		step, where string
	}{
		{"link down", (*world).toDB, func(t *testing.T, w *world) { must(t, SetDown(w.web.NS, "eth0")) }, "link", "from"},
		{"host end down", (*world).toDB, func(t *testing.T, w *world) { must(t, SetDown(w.host, w.webEnd.HostLink)) }, "link", "host"},
		{"no link", (*world).toDB, func(t *testing.T, w *world) { must(t, DeleteLink(w.web.NS, "eth0")) }, "link", "from"},
		{"off the bridge", (*world).toDB, func(t *testing.T, w *world) {
			l, err := w.host.nl.LinkByName(w.webEnd.HostLink)
			must(t, err)
			must(t, w.host.nl.LinkSetNoMaster(l))
		}, "link", "host"},
		{"bridge down", (*world).toDB, func(t *testing.T, w *world) { must(t, SetDown(w.host, w.front.Spec.Bridge)) }, "link", "host"},
		{"no address", (*world).toDB, func(t *testing.T, w *world) { run(t, w.web.NS, "ip", "addr", "flush", "dev", "eth0") }, "address", "from"},
		{"no default route", (*world).toOutside, func(t *testing.T, w *world) { run(t, w.web.NS, "ip", "route", "del", "default") }, "route", "from"},
		{"no gateway address", (*world).toOutside, func(t *testing.T, w *world) {
			run(t, w.host, "ip", "addr", "del", "172.17.0.1/16", "dev", w.front.Spec.Bridge)
		}, "neighbour", "from"},
		{"wrong neighbour", (*world).toDB, func(t *testing.T, w *world) {
			must(t, AddNeighbour(w.web.NS, "eth0", netip.MustParseAddr("172.17.0.3"), net.HardwareAddr{2, 0, 0, 0, 0, 9}))
		}, "neighbour", "from"},
		{"no forwarding", (*world).toOutside, func(t *testing.T, w *world) { must(t, WriteSysctl(w.host, "net.ipv4.ip_forward", "0")) }, "forwarding", "host"},
		{"uplink down", (*world).toOutside, func(t *testing.T, w *world) { must(t, SetDown(w.host, "uplink")) }, "route", "host"},
		{"a rule", (*world).toOutside, func(t *testing.T, w *world) {
			run(t, w.host, "nft", "add table inet wall; add chain inet wall f { type filter hook forward priority 10; }; add rule inet wall f ip daddr 203.0.113.0/24 tcp dport 80 drop")
		}, "rule", "host"},
		{"a policy", (*world).toOutside, func(t *testing.T, w *world) {
			run(t, w.host, "nft", "add table ip wall; add chain ip wall f { type filter hook forward priority 10; policy drop; }")
		}, "rule", "host"},
		{"no masquerade", (*world).toOutside, func(t *testing.T, w *world) {
			run(t, w.host, "nft", "flush chain ip cutaway postrouting")
		}, "nat", "host"},
		{"not published", (*world).toWebFromOutside, func(t *testing.T, w *world) {
			run(t, w.host, "nft", "flush chain ip cutaway publish")
		}, "nat", "host"},
		{"published but closed", (*world).toWebFromOutside, func(t *testing.T, w *world) {
			run(t, w.host, "nft", "flush chain ip cutaway admit")
		}, "rule", "host"},
		{"isolated", func(w *world) Path {
			return Path{From: w.web.NS, Host: w.host, To: w.far.NS, Dst: netip.MustParseAddrPort("172.18.0.2:80")}
		}, func(*testing.T, *world) {}, "rule", "host"},
		{"nobody listens", func(w *world) Path {
			p := w.toDB()
			p.Dst = netip.MustParseAddrPort("172.17.0.3:81")
			return p
		}, func(*testing.T, *world) {}, "listener", "to"},
		{"no address there", (*world).toDB, func(t *testing.T, w *world) {
			run(t, w.db.NS, "ip", "addr", "del", "172.17.0.3/16", "dev", "eth0")
		}, "neighbour", "from"},
		{"no way back", (*world).toWebFromOutside, func(t *testing.T, w *world) { run(t, w.web.NS, "ip", "route", "del", "default") }, "route", "to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			needs.Program(t, "ip", "iproute2")
			needs.Program(t, "nft", "nftables")
			w := newWorld(t)
			path := c.path(w)
			c.breakIt(t, w)
			wantSilence(t, path.From, path.Dst.String())
			d, err := Diagnose(path)
			must(t, err)
			if b := d.Broken(); b == nil || b.Step != c.step || b.Where != c.where || b.Try == "" {
				t.Errorf("Diagnose names %v; want %s in %s\n%s", b, c.step, c.where, d)
			}
			t.Logf("\n%s", d)
		})
	}
}

func TestDiagnoseNone(t *testing.T) {
	host, alone := newHost(t), newHost(t)
	d, err := Diagnose(Path{From: alone, Host: host, Dst: netip.MustParseAddrPort("203.0.113.2:80")})
	if b := d.Broken(); err != nil || b == nil || b.Step != "link" {
		t.Errorf("Diagnose = %v, %v", d, err)
	}
	if _, err := RouteTo(alone, netip.MustParseAddr("203.0.113.2")); unwrapErrno(err) != unix.ENETUNREACH {
		t.Errorf("RouteTo = %v; want ENETUNREACH", err)
	}
}
