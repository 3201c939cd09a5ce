package netdemo

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestBridgeNetwork(t *testing.T) {
	c := newController(t)
	out := newOutside(t, c.host)
	n := newNetwork(t, c, NetworkSpec{Name: "front"})
	web, e := connect(t, n, "web")
	db, _ := connect(t, n, "db")
	serveTCP(t, db.NS, ":80", "db")
	serveTCP(t, out, ":80", "outside")
	serveTCP(t, c.host, ":81", "host")
	wantAnswer(t, web.NS, "172.17.0.3:80", "db 172.17.0.2")
	wantAnswer(t, web.NS, "172.17.0.1:81", "host 172.17.0.2")
	// The outside sees the host's address.
	wantAnswer(t, web.NS, "203.0.113.2:80", "outside 203.0.113.1")
	if e.MAC != "02:42:ac:11:00:02" {
		t.Errorf("MAC = %s", e.MAC)
	}
	chains, err := Chains(c.host)
	must(t, err)
	t.Logf("\n%s", RulesetText(chains))
	flows, err := Flows(c.host)
	must(t, err)
	var seen bool
	for _, f := range flows {
		t.Log(f, f.SNAT(), f.DNAT())
		seen = seen || f.SNAT() && strings.HasPrefix(f.Origin.Dst.String(), "203.0.113.2:80")
	}
	if !seen {
		t.Error("no masqueraded flow")
	}
}

// Each takes the first of the range that is free.
func TestPublishFromRange(t *testing.T) {
	c := newController(t)
	n := newNetwork(t, c, NetworkSpec{Name: "front"})
	for i, want := range []uint16{8080, 8081} {
		_, e := connect(t, n, fmt.Sprintf("c%d", i), "8080-8081:80")
		if got := e.Joined.Published[0].PortSpec; got.HostPort != want || got.HostPortLast != 0 {
			t.Errorf("published %v; want %d", got, want)
		}
	}
	_, err := n.Connect(newSandbox(t, "late"), EndpointSpec{Name: "late", Ports: parsePorts(t, "8080-8081:80")})
	if !errors.Is(err, ErrPortInUse) {
		t.Errorf("a third of two ports: %v; want ErrPortInUse", err)
	}
}

func TestPublish(t *testing.T) {
	for name, proxy := range map[string]bool{"proxy": true, "hairpin": false} {
		t.Run(name, func(t *testing.T) {
			c := newController(t)
			out := newOutside(t, c.host)
			n := newNetwork(t, c, NetworkSpec{Name: "front", Proxy: proxy})
			web, e := connect(t, n, "web", "8080:80", "81")
			other, _ := connect(t, n, "other")
			serveTCP(t, web.NS, ":80", "web")
			serveTCP(t, web.NS, ":81", "web81")
			wantAnswer(t, out, "203.0.113.1:8080", "web 203.0.113.2")
			wantAnswer(t, c.host, "203.0.113.1:8080", "web")
			wantAnswer(t, c.host, "127.0.0.1:8080", "web")
			wantAnswer(t, other.NS, "203.0.113.1:8080", "web")
			wantAnswer(t, web.NS, "203.0.113.1:8080", "web")
			wantSilence(t, out, "172.17.0.2:80")
			t.Log(e.Joined.Published[1])
			chains, err := Chains(c.host)
			must(t, err)
			t.Logf("\n%s", RulesetText(chains))
		})
	}
}
