package labs

import (
	"context"
	"fmt"
	"time"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
	"cutaway/nsdemo"
)

// bridgeLab is lab 25: a bridge network from its parts, `docker network create`, then
// `docker run`. The steps on the bridge stand in lab25_ports.go, those on the way out in
// lab25_outbound.go.
func bridgeLab() bench.Lab {
	return bench.Lab{ID: "25", Name: "bridge", Needs: needs("ns.net", "net.veth", "net.bridge", "nft.masq", "conntrack"), Steps: []bench.Step{
		pairStep(),
		moveStep(),
		pairPingStep(),
		switchStep(),
		plugStep(),
		talkStep(),
		uplinkStep(web, db),
		forwardStep(),
		masqueradeStep(),
	}}
}

// Two machines that only one cable joins.
const (
	left, right         = "left", "right"
	leftAddr, rightAddr = "10.25.0.1", "10.25.0.2"
	cableNet            = "/24"
)

func pairStep() bench.Step {
	return bench.Step{
		Name:       "pair",
		Reproduces: []string{"net-veth"},
		Do: func(_ context.Context, b *bench.Bench) error {
			return inNets(b, func(n nets) error {
				return netdemo.CreateVeth(n[theHost], netdemo.VethSpec{Name: left, Peer: right})
			}, theHost)
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"ip link add "+left+" type veth peer name "+right,
				"ip -brief link"),
			Tools: []bench.Tool{bench.IP},
		},
		Look: []bench.View{{Title: "both ends, on the host", Columns: []string{left, right}, Read: readPairOnHost}},
		Draw: drawNetworks(theHost),
		Expect: []evidence.Expectation{
			evidence.ColumnsDiffer("one call made two links, with numbers of their own", "index", 0, 1),
			crossed("each names the other one's number as its peer"),
			evidence.ColumnsDiffer("each has a hardware address of its own", "MAC", 0, 1),
		},
	}
}

// crossed claims that each column's peer index is the other column's index.
func crossed(claim string) evidence.Expectation {
	return evidence.Custom(claim, []string{"index", "peer index"}, func(o evidence.Observed) evidence.Verdict {
		i, j := o.After.Column("index", 0), o.After.Column("index", 1)
		p, q := o.After.Column("peer index", 0), o.After.Column("peer index", 1)
		return evidence.Judged(p == j && q == i && i != evidence.Absent && j != evidence.Absent, "peer indexes "+j+" and "+i, p+" and "+q)
	})
}

// readPairOnHost reads the two ends while both are on the host.
func readPairOnHost(_ context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
	err = inNets(b, func(n nets) error {
		facts, err = pairFacts(n[theHost], left, n[theHost], right)
		return err
	}, theHost)
	return facts, err
}

// pairFacts compares the two ends of a pair.
func pairFacts(a *netdemo.Namespace, nameA string, b *netdemo.Namespace, nameB string) ([]evidence.Fact, error) {
	one, err := netdemo.LinkByName(a, nameA)
	if err != nil {
		return nil, err
	}
	other, err := netdemo.LinkByName(b, nameB)
	if err != nil {
		return nil, err
	}
	from := "ip -d link show dev " + nameA + ", " + nameB
	both := func(name string, value func(netdemo.Link) any) evidence.Fact {
		return evidence.F(name, from, fmt.Sprint(value(one)), fmt.Sprint(value(other)))
	}
	return []evidence.Fact{
		both("index", func(l netdemo.Link) any { return l.Index }),
		both("peer index", func(l netdemo.Link) any { return l.Peer }),
		both("MAC", func(l netdemo.Link) any { return l.MAC }),
		both("state", func(l netdemo.Link) any { return l.State }),
	}, nil
}

func moveStep() bench.Step {
	return bench.Step{
		Name: "move", Inside: left,
		Reproduces: []string{"net-veth"},
		Do:         moveEnds,
		ByHand: bench.ByHand{
			Lines: together(netnsByHand(left), netnsByHand(right), endByHand(left, leftAddr), endByHand(right, rightAddr)),
			Tools: []bench.Tool{bench.IP, bench.Sleep},
		},
		Look: []bench.View{
			{Title: "the pair, an end in each namespace", Columns: []string{left, right}, Read: readMovedPair},
			{Title: "links of the host", Read: readHostLinks},
		},
		Draw: drawNetworks(left, right),
		Expect: []evidence.Expectation{
			evidence.ColumnsDiffer("the two ends are in two net namespaces now", "net namespace", 0, 1),
			crossed("they still name each other's numbers: the cable has not been cut"),
			evidence.Is("both ends are up, so each hears the other's carrier", "state", evidence.Equals("up")),
			evidence.Becomes("the host has neither of them any more", "links", evidence.Equals("lo")),
		},
	}
}

func endByHand(name, address string) []string {
	return []string{
		"ip link set " + name + " netns " + name + " name eth0",
		"ip -n " + name + " address add " + address + cableNet + " dev eth0",
		"ip -n " + name + " link set eth0 up",
	}
}

// moveEnds starts two containers and puts one end of the pair into each.
func moveEnds(ctx context.Context, b *bench.Bench) error {
	for name, address := range map[string]string{left: leftAddr, right: rightAddr} {
		if err := startContainer(ctx, b, name, nsdemo.Net); err != nil {
			return err
		}
		err := inNets(b, func(n nets) error {
			if err := netdemo.MoveLink(n[theHost], name, n[name], "eth0"); err != nil {
				return err
			}
			if err := netdemo.AddAddress(n[name], "eth0", prefix(address+cableNet)); err != nil {
				return err
			}
			return netdemo.SetUp(n[name], "eth0")
		}, theHost, name)
		if err != nil {
			return err
		}
	}
	return nil
}

// readMovedPair reads each end where it is now.
func readMovedPair(_ context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
	err = inNets(b, func(n nets) error {
		if facts, err = pairFacts(n[left], "eth0", n[right], "eth0"); err != nil {
			return err
		}
		one, err := n[left].Inode()
		if err != nil {
			return err
		}
		other, err := n[right].Inode()
		facts = append(facts, evidence.F("net namespace", "readlink /proc/PID/ns/net", fmt.Sprint(one), fmt.Sprint(other)))
		return err
	}, left, right)
	return facts, err
}

func readHostLinks(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return factsOf(b, theHost, func(ns *netdemo.Namespace) ([]evidence.Fact, error) {
		names, err := linkWords(ns)
		return []evidence.Fact{evidence.F("links", "ip link", names)}, err
	})
}

func pairPingStep() bench.Step {
	return bench.Step{
		Name: "ping", Inside: left,
		Reproduces: []string{"net-veth"},
		Do:         pingBothWays,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return captureByHand(b, left, pingsAndARPs, "cable.pcap", "echo reply", 2,
					"ip netns exec "+left+" ping -c 1 -W 2 "+rightAddr,
					"ip netns exec "+right+" ping -c 1 -W 2 "+leftAddr)
			},
			Tools: captureTools,
		},
		Look: []bench.View{
			{Title: "what went over the cable", Read: readFrames("cable.pcap")},
			{Title: "packets counted at both ends", Read: readCounters},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("first left has to ask who has the address: an ARP request to everyone", frameName(1),
				evidence.Matches(`> ff:ff:ff:ff:ff:ff, ARP who has `+rightAddr)),
			evidence.Becomes("right answers with its hardware address", frameName(2), evidence.Contains("ARP "+rightAddr+" is at ")),
			evidence.Becomes("then left's ping goes to right", frameName(3), evidence.Contains(leftAddr+" > "+rightAddr+" echo request")),
			evidence.Becomes("and is answered", frameName(4), evidence.Contains(rightAddr+" > "+leftAddr+" echo reply")),
			evidence.Becomes("right's own ping is answered as well, and nobody had to ask again", frameName(6), evidence.Contains(leftAddr+" > "+rightAddr+" echo reply")),
			sentIsReceived("all that left sent, right has received", "sent by left", "received by right"),
			sentIsReceived("all that right sent, left has received", "sent by right", "received by left"),
		},
	}
}

// pingBothWays pings from each end while left's is listened to.
func pingBothWays(_ context.Context, b *bench.Bench) error {
	return inNets(b, func(n nets) error {
		return capture(b, n[left], pingsAndARPs, "cable.pcap", func() error {
			if _, err := netdemo.Ping(n[left], addr(rightAddr), 2*time.Second); err != nil {
				return err
			}
			_, err := netdemo.Ping(n[right], addr(leftAddr), 2*time.Second)
			return err
		})
	}, left, right)
}

// readCounters reads what each end has sent and received.
func readCounters(_ context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
	err = inNets(b, func(n nets) error {
		for _, name := range []string{left, right} {
			link, err := netdemo.LinkByName(n[name], "eth0")
			if err != nil {
				return err
			}
			from := entering(name) + "ip -s link show dev eth0"
			facts = append(facts,
				evidence.F("sent by "+name, from, fmt.Sprint(link.TxPackets)),
				evidence.F("received by "+name, from, fmt.Sprint(link.RxPackets)))
		}
		return nil
	}, left, right)
	return facts, err
}

// sentIsReceived claims that both counters have grown by the same number. An ARP packet,
// a request and a reply pass in each direction.
func sentIsReceived(claim, sent, received string) evidence.Expectation {
	return evidence.Custom(claim, []string{sent, received}, func(o evidence.Observed) evidence.Verdict {
		out, in := grown(o, sent), grown(o, received)
		return evidence.Judged(out >= 3 && out == in, "both counters to have grown by the same number, at least 3",
			fmt.Sprintf("grown by %g and %g", out, in))
	})
}

func grown(o evidence.Observed, fact string) float64 {
	before, _ := evidence.Number(o.Before.Value(fact))
	after, _ := evidence.Number(o.After.Value(fact))
	return after - before
}
