package netdemo

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var twoContainers = Topology{Namespaces: []TopologyNamespace{
	{Name: "host", Links: []TopologyLink{
		{Name: "lo", MTU: 65536, Up: true},
		{Name: "br-front", Kind: "bridge", Addresses: []string{"172.18.0.1/16"}, MTU: 1500, Up: true},
		{Name: "veth1a2b3c4", Kind: "veth", MTU: 1500, Up: true, Master: "br-front", PeerNS: "web", Peer: "eth0"},
		{Name: "veth5d6e7f8", Kind: "veth", MTU: 1500, Master: "br-front", PeerNS: "db", Peer: "eth0"},
		{Name: "uplink", Kind: "veth", Addresses: []string{"203.0.113.1/24"}, MTU: 1500, Up: true, PeerNS: "outside", Peer: "eth0"},
	}},
	{Name: "web", Links: []TopologyLink{{Name: "eth0", Kind: "veth", Addresses: []string{"172.18.0.2/16"}, MTU: 1500, Up: true, PeerNS: "host", Peer: "veth1a2b3c4"}}},
	{Name: "db", Links: []TopologyLink{{Name: "eth0", Kind: "veth", Addresses: []string{"172.18.0.3/16"}, MTU: 1500, PeerNS: "host", Peer: "veth5d6e7f8"}}},
	{Name: "outside", Links: []TopologyLink{{Name: "eth0", Kind: "veth", Addresses: []string{"203.0.113.2/24"}, MTU: 1500, Up: true, PeerNS: "host", Peer: "uplink"}}},
	{Name: "alone", Links: []TopologyLink{{Name: "lo", MTU: 65536}}},
}}

func TestRenderTopology(t *testing.T) {
	want := strings.TrimPrefix(`
┌────────────────────┐  ┌─────────────────────────┐
│ web                │  │ db                      │
│ eth0 172.18.0.2/16 │  │ eth0 172.18.0.3/16 DOWN │
└──────────┬─────────┘  └────────────┬────────────┘
      veth1a2b3c4             ╳ veth5d6e7f8 ╳
┌──────────┴─────────────────────────┴────────────┐
│ host: br-front 172.18.0.1/16                    │
└─────────────────────────────────────────────────┘
host: uplink 203.0.113.1/24 ── eth0 203.0.113.2/24 :outside
┌─────────┐
│ alone   │
│ only lo │
└─────────┘
`, "\n")
	if diff := cmp.Diff(want, RenderTopology(twoContainers, Drawing{})); diff != "" {
		t.Errorf("drawing differs (-want +got):\n%s", diff)
	}
}

func TestRenderTopologyASCII(t *testing.T) {
	got := RenderTopology(twoContainers, Drawing{ASCII: true, Width: 30})
	for _, r := range got {
		if r > 126 {
			t.Fatalf("character %q in\n%s", r, got)
		}
	}
	if !strings.Contains(got, "and 1 more ports") {
		t.Errorf("a narrow drawing does not say what it leaves out:\n%s", got)
	}
}
