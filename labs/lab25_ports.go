package labs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
	"cutaway/nsdemo"
)

// The network that the containers are put on.
const (
	bridgeName  = "br-lab"
	subnet      = "172.25.0.0/16"
	gatewayAddr = "172.25.0.1"
	webAddr     = "172.25.0.2"
	dbAddr      = "172.25.0.3"
	subnetBits  = "/16"
)

func switchStep() bench.Step {
	return bench.Step{
		Name:       "bridge",
		Reproduces: []string{"net-bridge"},
		Do: func(_ context.Context, b *bench.Bench) error {
			return inNets(b, func(n nets) error {
				if err := netdemo.CreateBridge(n[theHost], netdemo.BridgeSpec{Name: bridgeName}); err != nil {
					return err
				}
				return netdemo.AddAddress(n[theHost], bridgeName, prefix(gatewayAddr+subnetBits))
			}, theHost)
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"ip link add "+bridgeName+" type bridge",
				"ip link set "+bridgeName+" up",
				"ip address add "+gatewayAddr+subnetBits+" dev "+bridgeName),
			Tools: []bench.Tool{bench.IP},
		},
		Look: []bench.View{{Title: "the bridge", Read: readBridge}},
		Draw: drawNetworks(theHost),
		Expect: []evidence.Expectation{
			evidence.Becomes("the host has a bridge, with the first address of the subnet on it", bridgeName, evidence.Equals("UP, "+gatewayAddr+subnetBits)),
			evidence.Becomes("the host knows that the subnet is behind the bridge", "route to "+webAddr, evidence.Equals("dev "+bridgeName)),
			evidence.Becomes("nothing is plugged in yet", "ports", evidence.Equals("none")),
		},
	}
}

// readBridge reads the bridge as the host sees it.
func readBridge(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return factsOf(b, theHost, func(ns *netdemo.Namespace) ([]evidence.Fact, error) {
		state, err := stateWords(ns, bridgeName)
		if err != nil || state == evidence.Absent {
			return nil, err
		}
		ports, err := netdemo.BridgePorts(ns, bridgeName)
		if err != nil {
			return nil, err
		}
		return []evidence.Fact{
			evidence.F(bridgeName, "ip address show dev "+bridgeName, state),
			evidence.F("ports", "bridge link", portWords(ports)),
			evidence.F("route to "+webAddr, "ip route get "+webAddr, wayTo(ns, webAddr)),
		}, nil
	})
}

func portWords(ports []netdemo.Link) string {
	var names []string
	for _, p := range ports {
		names = append(names, p.Name)
	}
	if names == nil {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// wayTo asks the kernel how a packet would go: "via GATEWAY", or "dev LINK" for one
// that is sent straight onto the link.
func wayTo(ns *netdemo.Namespace, dst string) string {
	r, err := netdemo.RouteTo(ns, addr(dst))
	if err != nil {
		return answer(err)
	}
	if r.Gateway.IsValid() {
		return "via " + r.Gateway.String()
	}
	links, err := netdemo.Links(ns)
	for _, l := range links {
		if l.Index == r.Link {
			return "dev " + l.Name
		}
	}
	return fmt.Sprint("dev ", r.Link, err)
}

func plugStep() bench.Step {
	return bench.Step{
		Name: "plug", Inside: web,
		Reproduces: []string{"net-bridge"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			return errors.Join(plug(ctx, b, web), plug(ctx, b, db))
		},
		ByHand: bench.ByHand{
			Lines: together(netnsByHand(web), plugByHand(web, webAddr, "02:42:ac:19:00:02"), netnsByHand(db), plugByHand(db, dbAddr, "02:42:ac:19:00:03"),
				[]string{"bridge link"}),
			Tools: []bench.Tool{bench.IP, bench.Sleep, bench.Bridge},
		},
		Look: []bench.View{
			{Title: "the containers", Columns: []string{web, db}, Read: readPlugged},
			{Title: "the bridge", Read: readBridge},
			{Title: "what is behind each port", Read: readPortPeers},
		},
		Draw: drawNetworks(theHost, web, db),
		Expect: []evidence.Expectation{
			evidence.Becomes("the bridge has a port for each container", "ports", evidence.Equals("veth-db veth-web")),
			evidence.Becomes("the other end of the port veth-web is eth0 in web", "other end of veth-web", evidence.Equals("eth0 in web")),
			evidence.Becomes("the other end of the port veth-db is eth0 in db", "other end of veth-db", evidence.Equals("eth0 in db")),
			evidence.ColumnsDiffer("each container has an address of its own from the subnet", "eth0", 0, 1),
			macFromAddress("the hardware address is made from the address: 02:42 and its four bytes"),
			evidence.Is("what is for elsewhere goes to the bridge's address", "route to "+worldAddr, evidence.Equals("via "+gatewayAddr)),
		},
	}
}

// plug starts a container and connects it: the next address of the pool, a MAC made from
// it, one end of a veth pair on the bridge, the other one inside, and a default route.
func plug(ctx context.Context, b *bench.Bench, name string) error {
	if err := startContainer(ctx, b, name, nsdemo.Net); err != nil {
		return err
	}
	got, err := nextAddress(b, name)
	if err != nil {
		return err
	}
	return inNets(b, func(n nets) error {
		pair := netdemo.VethSpec{Name: "veth-" + name, Master: bridgeName, Peer: "eth0", PeerIn: n[name], PeerMAC: netdemo.MACFor(got)}
		if err := netdemo.CreateVeth(n[theHost], pair); err != nil {
			return err
		}
		if err := netdemo.AddAddress(n[name], "eth0", netip.PrefixFrom(got, prefix(subnet).Bits())); err != nil {
			return err
		}
		for _, link := range []string{"lo", "eth0"} {
			if err := netdemo.SetUp(n[name], link); err != nil {
				return err
			}
		}
		return netdemo.AddDefaultRoute(n[name], addr(gatewayAddr))
	}, theHost, name)
}

// nextAddress takes an address from the subnet's pool, whose first one is the bridge's.
func nextAddress(b *bench.Bench, holder string) (netip.Addr, error) {
	pool, err := netdemo.OpenPool(b.Path("pools"), prefix(subnet))
	if err != nil {
		return netip.Addr{}, err
	}
	if _, err := pool.Request("gateway", addr(gatewayAddr)); err != nil && !errors.Is(err, netdemo.ErrAddressInUse) {
		return netip.Addr{}, err
	}
	return pool.Request(holder, netip.Addr{})
}

func plugByHand(name, address, mac string) []string {
	return []string{
		"ip link add veth-" + name + " type veth peer name eth0 address " + mac + " netns " + name,
		"ip link set veth-" + name + " master " + bridgeName,
		"ip link set veth-" + name + " up",
		"ip -n " + name + " address add " + address + subnetBits + " dev eth0",
		"ip -n " + name + " link set lo up",
		"ip -n " + name + " link set eth0 up",
		"ip -n " + name + " route add default via " + gatewayAddr,
	}
}

// readPlugged compares what the two containers have.
func readPlugged(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts, err := containerFacts(b, web)
	if err != nil {
		return nil, err
	}
	others, err := containerFacts(b, db)
	for i := range facts {
		if i < len(others) {
			facts[i].Values = append(facts[i].Values, others[i].Value())
		}
	}
	return facts, err
}

func containerFacts(b *bench.Bench, name string) ([]evidence.Fact, error) {
	facts, err := endFacts(b, name)
	if err != nil {
		return nil, err
	}
	route, err := factsOf(b, name, func(ns *netdemo.Namespace) ([]evidence.Fact, error) {
		return []evidence.Fact{evidence.F("route to "+worldAddr, entering(name)+"ip route get "+worldAddr, wayTo(ns, worldAddr))}, nil
	})
	return append(facts, route...), err
}

// macFromAddress works the MAC out from the address that the kernel shows.
func macFromAddress(claim string) evidence.Expectation {
	return evidence.Custom(claim, []string{"eth0", "eth0 MAC"}, func(o evidence.Observed) evidence.Verdict {
		var want, got []string
		for i := range 2 {
			_, address, _ := strings.Cut(o.After.Column("eth0", i), ", ")
			p, err := netip.ParsePrefix(address)
			if err != nil {
				return evidence.Judged(false, "an address on eth0", o.After.Column("eth0", i))
			}
			four := p.Addr().As4()
			want = append(want, fmt.Sprintf("02:42:%02x:%02x:%02x:%02x", four[0], four[1], four[2], four[3]))
			got = append(got, o.After.Column("eth0 MAC", i))
		}
		return evidence.Judged(slices.Equal(want, got), strings.Join(want, " and "), strings.Join(got, " and "))
	})
}

// readPortPeers follows each port of the bridge to the other end of its pair.
func readPortPeers(_ context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
	err = inNets(b, func(n nets) error {
		ports, err := netdemo.BridgePorts(n[theHost], bridgeName)
		if err != nil {
			return err
		}
		for _, p := range ports {
			for _, name := range []string{web, db} {
				if _, peer, err := netdemo.Peer(n[theHost], p, []*netdemo.Namespace{n[name]}); err == nil {
					from := "ip -d link show dev " + p.Name + ": @if and link-netnsid"
					facts = append(facts, evidence.F("other end of "+p.Name, from, peer.Name+" in "+name))
				}
			}
		}
		return nil
	}, theHost, web, db)
	return facts, err
}

func talkStep() bench.Step {
	return bench.Step{
		Name: "talk", Inside: web,
		Reproduces: []string{"net-bridge"},
		Do:         talk,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return append(captureByHand(b, web, pingsAndARPs, "talk.pcap", "echo reply", 2,
					"ip netns exec "+web+" ping -c 1 -W 2 "+dbAddr,
					"ip netns exec "+web+" ping -c 1 -W 2 "+gatewayAddr),
					"ip -n "+web+" neigh", "bridge fdb show br "+bridgeName)
			},
			Tools: append([]bench.Tool{bench.Bridge}, captureTools...),
		},
		Look: []bench.View{
			{Title: "frames on web's eth0", Read: readFrames("talk.pcap")},
			{Title: "what web has learned: address to hardware address", Read: readNeighbours},
			{Title: "what the bridge has learned: hardware address to port", Read: readLearned},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("web asks everyone on the bridge who has db's address", frameName(1), evidence.Contains("ff:ff:ff:ff:ff:ff, ARP who has "+dbAddr)),
			evidence.Becomes("db answers its ping, and no router was in between: the ttl is whole", frameName(4), evidence.Matches(dbAddr+` > `+webAddr+` echo reply.*ttl 64`)),
			evidence.Becomes("the host answers at the bridge's address", frameName(8), evidence.Contains(gatewayAddr+" > "+webAddr+" echo reply")),
			evidence.Same("web's ARP table has db's hardware address now", "web's entry for "+dbAddr, "MAC of db"),
			evidence.Becomes("it had no such entry before", "web's entry for "+dbAddr, evidence.Present()),
			evidence.Same("the bridge has learned which port web is behind", "learned at veth-web", "MAC of web"),
			evidence.Same("the bridge has learned which port db is behind", "learned at veth-db", "MAC of db"),
		},
	}
}

// talk has web ping its neighbour, then the host.
func talk(_ context.Context, b *bench.Bench) error {
	return inNets(b, func(n nets) error {
		return capture(b, n[web], pingsAndARPs, "talk.pcap", func() error {
			if _, err := netdemo.Ping(n[web], addr(dbAddr), 2*time.Second); err != nil {
				return err
			}
			_, err := netdemo.Ping(n[web], addr(gatewayAddr), 2*time.Second)
			return err
		})
	}, web)
}

// readNeighbours reads web's ARP table.
func readNeighbours(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return factsOf(b, web, func(ns *netdemo.Namespace) ([]evidence.Fact, error) {
		table, err := netdemo.Neighbours(ns)
		var facts []evidence.Fact
		for _, e := range table {
			if e.Addr.Is4() && e.MAC != nil {
				facts = append(facts, evidence.F("web's entry for "+e.Addr.String(), entering(web)+"ip neigh", e.MAC.String()))
			}
		}
		return facts, err
	})
}

// readLearned reads the bridge's forwarding table: what it has learned from frames that
// came in, not what it knows of itself ("permanent").
func readLearned(_ context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
	err = inNets(b, func(n nets) error {
		table, err := netdemo.ForwardingTable(n[theHost])
		if err != nil {
			return err
		}
		for _, name := range []string{web, db} {
			port, err := netdemo.LinkByName(n[theHost], "veth-"+name)
			if err != nil {
				return err
			}
			inside, err := netdemo.LinkByName(n[name], "eth0")
			if err != nil {
				return err
			}
			facts = append(facts, evidence.F("MAC of "+name, entering(name)+"ip link show dev eth0", inside.MAC.String()))
			for _, e := range table {
				if e.Link == port.Index && e.State == "" {
					facts = append(facts, evidence.F("learned at "+port.Name, "bridge fdb show br "+bridgeName, e.MAC.String()))
				}
			}
		}
		return nil
	}, theHost, web, db)
	return facts, err
}
