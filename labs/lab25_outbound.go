package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
)

func forwardStep() bench.Step {
	return bench.Step{
		Name: "forward", Inside: web,
		Reproduces: []string{"net-outbound"},
		Do:         forwardOnly,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return captureByHand(b, world, pings, "forward.pcap", "echo request", 1,
					"echo 1 > /proc/sys/net/ipv4/ip_forward",
					"! ip netns exec "+web+" ping -c 1 -W 1 "+worldAddr)
			},
			Tools: captureTools,
		},
		Look: []bench.View{
			{Title: "is the host a router?", Read: readForwarding},
			{Title: "frames outside", Read: readFrames("forward.pcap")},
			{Title: "answers", Read: readReplies("forward.pcap")},
			{Title: "the outside's way back", Read: readWayBack},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the host passes packets on", "net.ipv4.ip_forward", evidence.Equals("1")),
			evidence.Becomes("web's packet comes out, from web's own address, a hop older", frameName(1), evidence.Matches(webAddr+` > `+worldAddr+` echo request.*ttl 63`)),
			evidence.Becomes("but no answer follows: without translation it fails", "echo replies outside", evidence.Equals("0")),
			evidence.AlwaysIs("for nobody outside knows the way to that address", "route to "+webAddr+" from outside", evidence.Equals("ENETUNREACH")),
		},
	}
}

// forwardOnly makes the host a router, and has web try to reach the outside.
func forwardOnly(_ context.Context, b *bench.Bench) error {
	return inNets(b, func(n nets) error {
		if err := netdemo.WriteSysctl(n[theHost], "net.ipv4.ip_forward", "1"); err != nil {
			return err
		}
		return capture(b, n[world], pings, "forward.pcap", func() error {
			_, err := netdemo.Ping(n[web], addr(worldAddr), 200*time.Millisecond)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return nil // what came of it is to be seen in the frames
			}
			return err
		})
	}, theHost, web, world)
}

func readForwarding(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return factsOf(b, theHost, func(ns *netdemo.Namespace) ([]evidence.Fact, error) {
		value, err := netdemo.ReadSysctl(ns, "net.ipv4.ip_forward")
		return []evidence.Fact{evidence.F("net.ipv4.ip_forward", "cat /proc/sys/net/ipv4/ip_forward", value)}, err
	})
}

// readReplies counts the answers to pings in a capture file.
func readReplies(file string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		frames, err := readFrames(file)(ctx, b)
		if err != nil {
			return nil, err
		}
		replies := 0
		for _, f := range frames {
			if strings.Contains(f.Value(), "echo reply") {
				replies++
			}
		}
		return []evidence.Fact{evidence.F("echo replies outside", "tcpdump -nr "+file, fmt.Sprint(replies))}, nil
	}
}

func readWayBack(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return factsOf(b, world, func(ns *netdemo.Namespace) ([]evidence.Fact, error) {
		return []evidence.Fact{evidence.F("route to "+webAddr+" from outside", entering(world)+"ip route get "+webAddr, wayTo(ns, webAddr))}, nil
	})
}

func masqueradeStep() bench.Step {
	return bench.Step{
		Name: "masquerade", Inside: web,
		Reproduces: []string{"net-outbound"},
		Do:         masquerade,
		ByHand: bench.ByHand{
			Lines: masqueradeByHand,
			Tools: append([]bench.Tool{bench.Nft}, captureTools...),
		},
		Look: []bench.View{
			{Title: "who is reached", Read: readPings(worldAddr, web)},
			{Title: "the rule, as the kernel has it", Read: readMasquerade},
			{Title: "frames outside", Read: readFrames("masquerade.pcap")},
			{Title: "what the kernel remembers of the connection", Read: readTranslated},
		},
		Draw: drawNetworks(theHost, web, db, world),
		Expect: []evidence.Expectation{
			evidence.Becomes("the kernel has a rule that masquerades what leaves the subnet", "rule", evidence.Matches(`^ip saddr 172\.25\.0\.0/16 oifname != "br-lab" counter packets \d+ bytes \d+ masquerade`)),
			evidence.Becomes("the container reaches the outside, which it did not without the rule", "ping "+worldAddr+" from "+web, reachable(worldAddr, 63)),
			evidence.Becomes("the rule's counter has counted", "packets that met the rule", evidence.AtLeast(1)),
			evidence.Becomes("the outside sees the host's address, not the container's", frameName(1), evidence.Contains(wayOutAddr+" > "+worldAddr+" echo request")),
			evidence.Becomes("and answers to the host", frameName(2), evidence.Contains(worldAddr+" > "+wayOutAddr+" echo reply")),
			evidence.Becomes("the kernel remembers who asked", "asked", evidence.Equals(webAddr+" > "+worldAddr)),
			evidence.Becomes("and to whom the answer comes, which it turns back", "answer expected", evidence.Equals(worldAddr+" > "+wayOutAddr)),
		},
	}
}

func masqueradeByHand(b *bench.Bench) []string {
	chain := "ip " + netdemo.TableName + " postrouting"
	return slices.Concat([]string{
		"nft add table ip " + netdemo.TableName,
		"nft 'add chain " + chain + " { type nat hook postrouting priority srcnat; }'",
		"nft add rule " + chain + " ip saddr " + subnet + " oifname != " + bridgeName + " counter masquerade",
	}, captureByHand(b, world, pings, "masquerade.pcap", "echo reply", 1, "ip netns exec "+web+" ping -c 1 -W 2 "+worldAddr),
		[]string{"nft list ruleset"})
}

// masquerade adds the rule, and has web reach the outside.
func masquerade(_ context.Context, b *bench.Bench) error {
	return inNets(b, func(n nets) error {
		if err := netdemo.Masquerade(n[theHost], bridgeName, prefix(subnet)); err != nil {
			return err
		}
		return capture(b, n[world], pings, "masquerade.pcap", func() error {
			_, err := netdemo.Ping(n[web], addr(worldAddr), 2*time.Second)
			return err
		})
	}, theHost, web, world)
}

// readMasquerade finds the rule among those that the kernel has.
func readMasquerade(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return factsOf(b, theHost, func(ns *netdemo.Namespace) ([]evidence.Fact, error) {
		rules, err := netdemo.Rules(ns)
		for _, r := range rules {
			if r.Hook == "postrouting" && strings.Contains(r.Text, "masquerade") {
				from := "nft list chain " + r.Family + " " + r.Table + " " + r.Chain
				return []evidence.Fact{evidence.F("rule", from, r.Text), evidence.F("packets that met the rule", from, fmt.Sprint(r.Packets))}, err
			}
		}
		return nil, err
	})
}

// readTranslated finds a connection of web's whose source was rewritten.
func readTranslated(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return factsOf(b, theHost, func(ns *netdemo.Namespace) ([]evidence.Fact, error) {
		flows, err := netdemo.Flows(ns)
		for _, f := range flows {
			if f.SNAT() && f.Origin.Src.Addr() == addr(webAddr) {
				return []evidence.Fact{
					evidence.F("asked", "conntrack -L", direction(f.Origin)),
					evidence.F("answer expected", "conntrack -L", direction(f.Reply)),
				}, err
			}
		}
		return nil, err
	})
}

func direction(t netdemo.Tuple) string {
	return t.Src.Addr().String() + " > " + t.Dst.Addr().String()
}
