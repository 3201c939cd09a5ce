package netdemo

import (
	"errors"
	"net/netip"
	"testing"
)

// The two ways to publish by rules alone, without a controller.
func TestPublishByDNATThenHairpin(t *testing.T) {
	host := newHost(t)
	out := newOutside(t, host)
	web, db := newHost(t), newHost(t)
	must(t, CreateBridge(host, BridgeSpec{Name: "br-pub"}))
	must(t, AddAddress(host, "br-pub", netip.MustParsePrefix("172.26.0.1/16")))
	must(t, WriteSysctl(host, "net.ipv4.ip_forward", "1"))
	for name, box := range map[string]*Namespace{"172.26.0.2/16": web, "172.26.0.3/16": db} {
		must(t, CreateVeth(host, VethSpec{Name: "veth" + name[9:10], Peer: "eth0", PeerIn: box, Master: "br-pub"}))
		must(t, AddAddress(box, "eth0", netip.MustParsePrefix(name)))
		must(t, SetUp(box, "eth0"))
		must(t, AddDefaultRoute(box, netip.MustParseAddr("172.26.0.1")))
	}
	serveTCP(t, web, ":80", "web")
	port := PortSpec{Proto: TCP, HostPort: 8080, ContainerPort: 80}
	target := netip.MustParseAddr("172.26.0.2")

	wantSilence(t, out, "203.0.113.1:8080")
	must(t, PublishByDNAT(host, "br-pub", port, target))
	wantAnswer(t, out, "203.0.113.1:8080", "web 203.0.113.2")
	for _, from := range []*Namespace{web, db} {
		wantSilence(t, from, "203.0.113.1:8080")
	}
	wantSilence(t, host, "127.0.0.1:8080")
	if on, err := HairpinOf(host, "veth2"); on || err != nil {
		t.Errorf("HairpinOf before = %v, %v; want false", on, err)
	}

	must(t, Hairpin(host, "br-pub", "veth2", netip.MustParsePrefix("172.26.0.0/16"), port, target))
	if on, err := HairpinOf(host, "veth2"); !on || err != nil {
		t.Errorf("HairpinOf after = %v, %v; want true", on, err)
	}
	wantAnswer(t, out, "203.0.113.1:8080", "web 203.0.113.2")
	for _, from := range []*Namespace{web, db} {
		wantAnswer(t, from, "203.0.113.1:8080", "web 172.26.0.1")
	}
	wantAnswer(t, host, "127.0.0.1:8080", "web")
	err := Hairpin(host, "br-pub", "veth2", netip.MustParsePrefix("fd00::/64"), port, netip.MustParseAddr("fd00::2"))
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("Hairpin with IPv6 = %v; want ErrInvalid", err)
	}
}
