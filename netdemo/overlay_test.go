package netdemo

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cutaway/internal/needs"
)

// twoHosts are joined by an underlay, and each has a part of one overlay network: 10.9.0.0/24, .2 on
// the first host, .130 on the second.
type twoHosts struct {
	host [2]*Namespace
	sb   [2]*Sandbox
	end  [2]*Endpoint
	net  [2]*Network
}

func newTwoHosts(t *testing.T) *twoHosts {
	w := &twoHosts{}
	under := [2]string{"10.0.0.1/24", "10.0.0.2/24"}
	ranges := [2]string{"10.9.0.0/25", "10.9.0.128/25"}
	gateways := [2]string{"10.9.0.1", "10.9.0.129"}
	var controllers [2]*Controller
	for i := range 2 {
		controllers[i] = newController(t)
		w.host[i] = controllers[i].host
	}
	must(t, CreateVeth(w.host[0], VethSpec{Name: "under0", Peer: "under0", PeerIn: w.host[1]}))
	for i := range 2 {
		must(t, SetUp(w.host[i], "under0"))
		must(t, AddAddress(w.host[i], "under0", netip.MustParsePrefix(under[i])))
		w.net[i] = newNetwork(t, controllers[i], NetworkSpec{Name: "over", Bridge: "br-over", Subnet: netip.MustParsePrefix("10.9.0.0/24"),
			Range: netip.MustParsePrefix(ranges[i]), Gateway: netip.MustParseAddr(gateways[i]), MTU: 1500 - VXLANOverhead})
		must(t, CreateVXLAN(w.host[i], VXLANSpec{Name: "vx42", VNI: 42, Bridge: "br-over", MTU: 1500 - VXLANOverhead,
			Local: netip.MustParsePrefix(under[i]).Addr()}))
		w.sb[i], w.end[i] = connect(t, w.net[i], fmt.Sprintf("c%d", i))
	}
	for i := range 2 {
		other := 1 - i
		must(t, AddRemote(w.host[i], "vx42", w.remote(t, other)))
		must(t, AddFlood(w.host[i], "vx42", w.remote(t, other).Host))
	}
	return w
}

func (w *twoHosts) remote(t *testing.T, i int) Remote {
	mac, err := net.ParseMAC(w.end[i].MAC)
	must(t, err)
	return Remote{Addr: w.end[i].Address, MAC: mac, Host: netip.MustParseAddr([]string{"10.0.0.1", "10.0.0.2"}[i])}
}

func (w *twoHosts) path() Path {
	return Path{From: w.sb[0].NS, Host: w.host[0], FarHost: w.host[1], To: w.sb[1].NS, Dst: netip.AddrPortFrom(w.end[1].Address, 80)}
}

func TestOverlay(t *testing.T) {
	w := newTwoHosts(t)
	serveTCP(t, w.sb[1].NS, ":80", "other host")
	capture, err := StartCapture(w.host[0], "under0")
	must(t, err)
	defer capture.Close()
	wantAnswer(t, w.sb[0].NS, w.end[1].Address.String()+":80", "other host "+w.end[0].Address.String())
	frames, err := capture.Drain(100 * time.Millisecond)
	must(t, err)
	var arp, syn bool
	for _, f := range frames {
		p := Decode(f.Data)
		if p.VXLAN == nil {
			continue
		}
		t.Log(p)
		arp = arp || p.Inner.ARP != nil
		syn = syn || p.Inner.TCP != nil && p.VXLAN.VNI == 42 && p.Inner.TCP.Flags == 2
	}
	if !arp || !syn {
		t.Errorf("in the tunnel: ARP %v, SYN %v; want both", arp, syn)
	}
	d, err := Diagnose(w.path())
	if err != nil || d.Broken() != nil {
		t.Errorf("Diagnose: %v\n%s", err, d)
	}
	top, err := ReadTopology(Named{"host0", w.host[0]}, Named{"host1", w.host[1]}, Named{"c0", w.sb[0].NS}, Named{"c1", w.sb[1].NS})
	must(t, err)
	drawing := RenderTopology(top, Drawing{})
	if !strings.Contains(drawing, "vxlan vni 42 to 10.0.0.2") {
		t.Errorf("the tunnel is not in the drawing")
	}
	t.Logf("\n%s", drawing)
}

func TestDiagnoseOverlay(t *testing.T) {
	for name, c := range map[string]struct {
		breakIt func(*testing.T, *twoHosts)
		step    string
	}{
		"no entry": {func(t *testing.T, w *twoHosts) {
			must(t, RemoveRemote(w.host[0], "vx42", w.remote(t, 1)))
			must(t, RemoveFlood(w.host[0], "vx42", netip.MustParseAddr("10.0.0.2")))
		}, "forwarding"},
		"wrong host": {func(t *testing.T, w *twoHosts) {
			r := w.remote(t, 1)
			r.Host = netip.MustParseAddr("10.0.0.77")
			must(t, AddRemote(w.host[0], "vx42", r))
		}, "forwarding"},
		"no underlay": {func(t *testing.T, w *twoHosts) { must(t, SetDown(w.host[0], "under0")) }, "route"},
		"vxlan down":  {func(t *testing.T, w *twoHosts) { must(t, SetDown(w.host[0], "vx42")) }, "link"},
		"mtu":         {func(t *testing.T, w *twoHosts) { must(t, SetMTU(w.sb[0].NS, "eth0", 1500)) }, "mtu"},
		"other vni": {func(t *testing.T, w *twoHosts) {
			must(t, DeleteLink(w.host[1], "vx42"))
			must(t, CreateVXLAN(w.host[1], VXLANSpec{Name: "vx43", VNI: 43, Bridge: "br-over", Local: netip.MustParseAddr("10.0.0.2")}))
		}, "link"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTwoHosts(t)
			// The neighbour is known from before, as it would be in a network that has broken.
			must(t, AddNeighbour(w.sb[0].NS, "eth0", w.end[1].Address, w.remote(t, 1).MAC))
			c.breakIt(t, w)
			d, err := Diagnose(w.path())
			if b := d.Broken(); err != nil || b == nil || b.Step != c.step {
				t.Errorf("Diagnose names %v, %v; want %s\n%s", b, err, c.step, d)
			}
		})
	}
}

func TestCNI(t *testing.T) {
	needs.Program(t, "iptables", "iptables")
	needs.File(t, "/usr/lib/cni/bridge", "package containernetworking-plugins")
	host, sb := newHost(t), newHost(t)
	cni := CNI{Dir: "/usr/lib/cni", Container: "cutaway-cni", Interface: "eth0", Config: cniConfig(t.TempDir(), true)}
	result, err := cni.Add(context.Background(), host, sb)
	must(t, err)
	t.Logf("%s", result.Raw)
	if len(result.IPs) != 1 || result.IPs[0].Address != "10.22.0.2/16" || len(result.Interfaces) != 3 {
		t.Errorf("result %+v", result)
	}
	serveTCP(t, sb, ":80", "cni")
	wantAnswer(t, host, "10.22.0.2:80", "cni")
	must(t, cni.Del(context.Background(), host, sb))
	if names := linkNames(t, sb); len(names) != 0 {
		t.Errorf("after DEL the sandbox has %v", names)
	}
	must(t, cni.Del(context.Background(), host, sb)) // may be repeated
	cni.Config = json.RawMessage(`{"cniVersion":"1.0.0","name":"x","type":"bridge","ipam":{"type":"host-local"}}`)
	if _, err := cni.Add(context.Background(), host, sb); err == nil || !strings.Contains(err.Error(), "code") {
		t.Errorf("Add = %v; want the plugin's own error", err)
	}
	cni.Config = json.RawMessage(`{"type":"../bin/sh"}`)
	if _, err := cni.Add(context.Background(), host, sb); err == nil {
		t.Error("a type with a path in it was run")
	}
}

func cniConfig(dir string, masquerade bool) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"cniVersion":"1.0.0","name":"cutaway","type":"bridge","bridge":"cni0","isGateway":true,
		"ipMasq":%v,"ipam":{"type":"host-local","subnet":"10.22.0.0/16","routes":[{"dst":"0.0.0.0/0"}],"dataDir":%q}}`, masquerade, dir))
}
