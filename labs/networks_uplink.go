package labs

import (
	"context"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
	"cutaway/nsdemo"
)

// The host's way out: a link to a machine in a net namespace of its own, which knows
// nothing of any container. The addresses are for documentation (RFC 5737).
const (
	wayOut     = "uplink"
	wayOutAddr = "203.0.113.1"
	worldAddr  = "203.0.113.2"
	wayOutNet  = "/24"
)

// uplinkStep gives the lab host something to be connected to. Others are containers that
// are to be in the drawing.
func uplinkStep(others ...string) bench.Step {
	return bench.Step{
		Name: "uplink", Inside: world,
		Do: connectToWorld,
		ByHand: bench.ByHand{
			Lines: together(netnsByHand(world), []string{
				"echo 0 > /proc/sys/net/ipv4/ip_forward",
				"ip link add " + wayOut + " type veth peer name eth0 netns " + world,
				"ip address add " + wayOutAddr + wayOutNet + " dev " + wayOut,
				"ip -n " + world + " address add " + worldAddr + wayOutNet + " dev eth0",
				"ip link set " + wayOut + " up",
				"ip -n " + world + " link set eth0 up",
				"ping -c 1 -W 2 " + worldAddr,
			}),
			Tools: []bench.Tool{bench.IP, bench.Sleep, bench.Ping},
		},
		Look: []bench.View{
			{Title: "the host's way out", Read: readUplink},
			{Title: "who is reached", Read: readPings(worldAddr, theHost)},
		},
		Draw: drawNetworks(append([]string{theHost, world}, others...)...),
		Expect: []evidence.Expectation{
			evidence.Becomes("the host has a link to the outside, with an address", wayOut, evidence.Equals("UP, "+wayOutAddr+wayOutNet)),
			evidence.Becomes("over it, the host reaches a machine outside", "ping "+worldAddr+" from "+theHost, reachable(worldAddr, 64)),
		},
	}
}

// connectToWorld makes a machine outside, and a veth pair between it and the host. A new
// net namespace takes over whether the real machine forwards packets; this host is no
// router yet.
func connectToWorld(ctx context.Context, b *bench.Bench) error {
	if err := startContainer(ctx, b, world, nsdemo.Net); err != nil {
		return err
	}
	return inNets(b, func(n nets) error {
		host, far := n[theHost], n[world]
		if err := netdemo.WriteSysctl(host, "net.ipv4.ip_forward", "0"); err != nil {
			return err
		}
		if err := netdemo.CreateVeth(host, netdemo.VethSpec{Name: wayOut, Peer: "eth0", PeerIn: far}); err != nil {
			return err
		}
		if err := netdemo.AddAddress(host, wayOut, prefix(wayOutAddr+wayOutNet)); err != nil {
			return err
		}
		if err := netdemo.AddAddress(far, "eth0", prefix(worldAddr+wayOutNet)); err != nil {
			return err
		}
		return netdemo.SetUp(far, "eth0")
	}, theHost, world)
}

func readUplink(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return factsOf(b, theHost, func(ns *netdemo.Namespace) ([]evidence.Fact, error) {
		state, err := stateWords(ns, wayOut)
		return []evidence.Fact{evidence.F(wayOut, "ip address show dev "+wayOut, state)}, err
	})
}
