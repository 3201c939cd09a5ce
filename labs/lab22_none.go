package labs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
	"cutaway/nsdemo"
)

// noneLab is lab 22: a container with no network, `docker run --network none`.
func noneLab() bench.Lab {
	return bench.Lab{ID: "22", Name: "none", Needs: needs("ns.net", "net.veth"), Steps: []bench.Step{
		uplinkStep(),
		noneStartStep(),
		noneLoopbackStep(),
	}}
}

func noneStartStep() bench.Step {
	return bench.Step{
		Name: "start", Inside: web,
		Reproduces: []string{"net-none"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			return startContainer(ctx, b, web, nsdemo.Mnt, nsdemo.UTS, nsdemo.IPC, nsdemo.PID, nsdemo.Net)
		},
		ByHand: bench.ByHand{
			Lines: together(containerByHand(web, "unshare --mount --uts --ipc --pid --net"), []string{
				"ip netns attach " + web + " $(cat web.pid)",
				onlyIPv4ByHand(web),
				"ip -n " + web + " link",
				"ip -n " + web + " route",
				"! ip netns exec " + web + " ping -c 1 -W 1 " + worldAddr,
			}),
			Tools: []bench.Tool{bench.Unshare, bench.Sleep, bench.IP, bench.Ping},
		},
		Look: []bench.View{
			{Title: "net namespaces, links and routes", Columns: []string{web, theHost}, Read: readBeside},
			{Title: "who is reached", Read: readPings(worldAddr, web, theHost)},
		},
		Draw: drawNetworks(theHost, world, web),
		Expect: []evidence.Expectation{
			evidence.ColumnsDiffer("the container has a net namespace of its own", "net namespace", 0, 1),
			evidence.Becomes("the container has one link, lo", "links", evidence.Equals("lo")),
			evidence.Becomes("lo is down: not even 127.0.0.1 is there", "lo", evidence.Equals("DOWN, no address")),
			evidence.Becomes("its routing table is empty", "routes (main table)", evidence.Equals("empty")),
			evidence.Becomes("so a packet to the outside is not even sent: network is unreachable",
				"ping "+worldAddr+" from "+web, evidence.Equals("ENETUNREACH")),
			evidence.AlwaysIs("the host reaches the outside as before", "ping "+worldAddr+" from "+theHost, reachable(worldAddr, 64)),
		},
	}
}

func noneLoopbackStep() bench.Step {
	const own = "127.0.0.1"
	return bench.Step{
		Name: "loopback", Inside: web,
		Reproduces: []string{"net-none"},
		Do: func(_ context.Context, b *bench.Bench) error {
			return inNets(b, func(n nets) error { return netdemo.SetUp(n[web], "lo") }, web)
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"ip -n "+web+" link set lo up",
				"ip -n "+web+" route show table local",
				"ip netns exec "+web+" ping -c 1 -W 2 "+own),
			Tools: []bench.Tool{bench.IP, bench.Ping},
		},
		Look: []bench.View{
			{Title: "links and routes of the container", Read: readAlone},
			{Title: "the container reaches itself", Read: readPings(own, web)},
			{Title: "who is reached", Read: readPings(worldAddr, web)},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("lo is up, and the kernel has given it 127.0.0.1", "lo", evidence.Equals("UP, 127.0.0.1/8")),
			evidence.Becomes("the container reaches itself", "ping "+own+" from "+web, reachable(own, 64)),
			evidence.Becomes("the kernel's own table of local addresses has filled", "routes (local table)", evidence.Contains("127.0.0.0/8")),
			evidence.AlwaysIs("there is still no route to anywhere else", "routes (main table)", evidence.Equals("empty")),
			evidence.AlwaysIs("and still nobody else is reached", "ping "+worldAddr+" from "+web, evidence.Equals("ENETUNREACH")),
		},
	}
}

// readAlone reads the links and routes of the container.
func readAlone(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return factsOf(b, web, func(ns *netdemo.Namespace) ([]evidence.Fact, error) { return linkFacts(ns, entering(web)+"ip") })
}

// readBeside reads them of the container and of the host, side by side.
func readBeside(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts, err := factsOf(b, theHost, func(ns *netdemo.Namespace) ([]evidence.Fact, error) { return linkFacts(ns, entering(web)+"ip") })
	if err != nil {
		return nil, err
	}
	inside, err := factsOf(b, web, func(ns *netdemo.Namespace) ([]evidence.Fact, error) { return linkFacts(ns, "") })
	if errors.Is(err, bench.ErrNoSubject) {
		err = nil
	}
	for i := range facts {
		in := evidence.Absent
		if i < len(inside) {
			in = inside[i].Value()
		}
		facts[i].Values = []string{in, facts[i].Value()}
	}
	return facts, err
}

// linkFacts are the namespace's number, its links, its lo and its IPv4 routes.
func linkFacts(ns *netdemo.Namespace, ip string) ([]evidence.Fact, error) {
	inode, err := ns.Inode()
	if err != nil {
		return nil, err
	}
	links, err := linkWords(ns)
	if err != nil {
		return nil, err
	}
	lo, err := stateWords(ns, "lo")
	if err != nil {
		return nil, err
	}
	routes, err := netdemo.Routes(ns)
	return []evidence.Fact{
		evidence.F("net namespace", "readlink /proc/$(cat web.pid)/ns/net /proc/self/ns/net", fmt.Sprint(inode)),
		evidence.F("links", ip+" link", links),
		evidence.F("lo", ip+" address show dev lo", lo),
		evidence.F("routes (main table)", ip+" route", routeWords(routes, unix.RT_TABLE_MAIN)),
		evidence.F("routes (local table)", ip+" route show table local", routeWords(routes, unix.RT_TABLE_LOCAL)),
	}, err
}

// routeWords lists the destinations of a table, or says that there is none.
func routeWords(routes []netdemo.Route, table int) string {
	var words []string
	for _, r := range routes {
		if r.Table == table && r.Dst.Addr().Is4() {
			words = append(words, strings.TrimSuffix(r.Dst.String(), "/32"))
		}
	}
	if len(words) == 0 {
		return "empty"
	}
	return strings.Join(words, ", ")
}
