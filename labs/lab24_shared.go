package labs

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
	"cutaway/nsdemo"
)

// side is the second container, which has no network of its own.
const side = "side"

// What the first container is connected by.
const (
	firstAddr = "172.25.0.2/16"
	firstMAC  = "02:42:ac:19:00:02"
)

// containerNetLab is lab 24: a container in another one's network,
// `docker run --network container:web`, which is what a Kubernetes pod is made of.
func containerNetLab() bench.Lab {
	return bench.Lab{ID: "24", Name: "shared", Needs: needs("ns.mnt", "ns.uts", "ns.ipc", "ns.pid", "ns.net", "net.veth"), Steps: []bench.Step{
		firstStep(),
		secondStep(),
		localhostStep(),
		apartStep(),
	}}
}

func firstStep() bench.Step {
	return bench.Step{
		Name: "first", Inside: web,
		Do: startFirst,
		ByHand: bench.ByHand{
			Lines: together(containerByHand(web, "unshare --mount --uts --ipc --pid --net"), []string{
				"ip netns attach " + web + " $(cat web.pid)",
				onlyIPv4ByHand(web),
				"ip link add veth-web type veth peer name eth0 address " + firstMAC + " netns " + web,
				"ip -n " + web + " address add " + firstAddr + " dev eth0",
				"ip link set veth-web up",
				"ip -n " + web + " link set lo up",
				"ip -n " + web + " link set eth0 up",
			}),
			Tools: []bench.Tool{bench.Unshare, bench.Sleep, bench.IP},
		},
		Look: []bench.View{{Title: "the first container's network", Read: readFirstNet}},
		Draw: drawNetworks(theHost, web),
		Expect: []evidence.Expectation{
			evidence.Becomes("the first container has a link with an address", "eth0", evidence.Equals("UP, "+firstAddr)),
			evidence.Becomes("and with a hardware address", "eth0 MAC", evidence.Equals(firstMAC)),
		},
	}
}

// startFirst gives a container a network by one veth pair from the host.
func startFirst(ctx context.Context, b *bench.Bench) error {
	if err := startContainer(ctx, b, web, nsdemo.Mnt, nsdemo.UTS, nsdemo.IPC, nsdemo.PID, nsdemo.Net); err != nil {
		return err
	}
	return inNets(b, func(n nets) error {
		pair := netdemo.VethSpec{Name: "veth-web", Peer: "eth0", PeerIn: n[web], PeerMAC: netdemo.MACFor(prefix(firstAddr).Addr())}
		if err := netdemo.CreateVeth(n[theHost], pair); err != nil {
			return err
		}
		if err := netdemo.AddAddress(n[web], "eth0", prefix(firstAddr)); err != nil {
			return err
		}
		if err := netdemo.SetUp(n[web], "lo"); err != nil {
			return err
		}
		return netdemo.SetUp(n[web], "eth0")
	}, theHost, web)
}

func readFirstNet(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return endFacts(b, web)
}

// endFacts are eth0's state, address and MAC as a container sees them.
func endFacts(b *bench.Bench, name string) ([]evidence.Fact, error) {
	return factsOf(b, name, func(ns *netdemo.Namespace) ([]evidence.Fact, error) {
		state, err := stateWords(ns, "eth0")
		if err != nil {
			return nil, err
		}
		link, err := netdemo.LinkByName(ns, "eth0")
		return []evidence.Fact{
			evidence.F("eth0", entering(name)+"ip address show dev eth0", state),
			evidence.F("eth0 MAC", entering(name)+"ip link show dev eth0", link.MAC.String()),
		}, err
	})
}

func secondStep() bench.Step {
	own := []nsdemo.Kind{nsdemo.Mnt, nsdemo.UTS, nsdemo.IPC, nsdemo.PID}
	return bench.Step{
		Name: "second", Inside: side,
		Reproduces: []string{"net-container"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			pid, err := b.Pid(web)
			if err != nil {
				return err
			}
			p, err := nsdemo.StartBeside(ctx, pid, []nsdemo.Kind{nsdemo.Net}, nsdemo.Spec{Kinds: own, Proc: true})
			if err != nil {
				return err
			}
			return b.Keep(side, p)
		},
		ByHand: bench.ByHand{
			Lines: together([]string{"read first < web.pid"}, containerByHand(side, "nsenter --target $first --net unshare --mount --uts --ipc --pid"),
				[]string{"nsenter --target $(cat side.pid) --net ip address show dev eth0"}),
			Tools: []bench.Tool{bench.Nsenter, bench.Unshare, bench.Sleep, bench.IP},
		},
		Look: []bench.View{
			{Title: "namespace ids", Columns: []string{side, web}, Read: readNamespacesOf(side, web, append(own, nsdemo.Net)...)},
			{Title: "what each sees of the network", Columns: []string{side, web}, Read: readBothEnds},
		},
		Draw: drawNetworks(theHost, web, side),
		Expect: []evidence.Expectation{
			evidence.ColumnsSame("both are in one net namespace", "net", 0, 1),
			evidence.ColumnsSame("they have the same address: it is the same link", "eth0", 0, 1),
			evidence.ColumnsSame("they have the same hardware address", "eth0 MAC", 0, 1),
			evidence.ColumnsDiffer("each has mounts of its own", "mnt", 0, 1),
			evidence.ColumnsDiffer("each has process ids of its own", "pid", 0, 1),
			evidence.ColumnsDiffer("each has message queues of its own", "ipc", 0, 1),
		},
	}
}

// readBothEnds puts what the two containers see side by side.
func readBothEnds(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	first, err := endFacts(b, web)
	if err != nil {
		return nil, err
	}
	second, err := endFacts(b, side)
	if err != nil {
		return nil, err
	}
	for i := range second {
		second[i].Values = append(second[i].Values, first[i].Value())
	}
	return second, nil
}

func localhostStep() bench.Step {
	port := fmt.Sprint(servedPort)
	return bench.Step{
		Name: "localhost", Inside: side,
		Reproduces: []string{"net-container"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			p, err := b.Inside(ctx, web)
			if err != nil {
				return err
			}
			_, err = p.Listen(ctx, "127.0.0.1:"+port, servedWord)
			return err
		},
		ByHand: serveByHand(enterAll(web), "127.0.0.1"),
		Look: []bench.View{
			{Title: "who answers on 127.0.0.1", Read: readLocalhosts},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the second container reaches the first one's server over localhost", "answer to side", evidence.Equals(servedWord)),
			evidence.Becomes("they have one set of ports: the second cannot listen on that one too", "bind(2) by side", evidence.Equals("EADDRINUSE")),
			evidence.AlwaysIs("the host's localhost is another one: nobody answers there", "answer to host", evidence.Equals("ECONNREFUSED")),
		},
	}
}

// readLocalhosts asks on 127.0.0.1 in the second container and on the host.
func readLocalhosts(_ context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
	address := fmt.Sprintf("127.0.0.1:%d", servedPort)
	err = inNets(b, func(n nets) error {
		for _, name := range []string{side, theHost} {
			facts = append(facts, evidence.F("answer to "+name, entering(name)+"nc 127.0.0.1 "+fmt.Sprint(servedPort), askThere(n[name], address)))
		}
		facts = append(facts, evidence.F("bind(2) by side", "bind(2) on "+address+" in side", tryPort(n[side], address)))
		return nil
	}, side, theHost)
	return facts, err
}

// secretFile is what the first container alone has.
const secretFile = "/mnt/of-web"

func apartStep() bench.Step {
	return bench.Step{
		Name: "apart", Inside: side,
		Reproduces: []string{"net-container"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			p, err := b.Inside(ctx, web)
			if err != nil {
				return err
			}
			if err := p.MountTmpfs(ctx, "/mnt", 1<<20); err != nil {
				return err
			}
			return p.WriteFile(ctx, secretFile, "a file of web's\n", 0o644)
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				enterAll(web)+"mount -t tmpfs none /mnt",
				enterAll(web)+"sh -c 'echo a file of web > "+secretFile+"'",
				enterAll(side)+"ls /mnt",
				enterAll(side)+"sh -c 'echo /proc/[0-9]*'"),
			Tools: []bench.Tool{bench.Nsenter, bench.Mount, {Program: "ls", Package: "coreutils"}},
		},
		Look: []bench.View{
			{Title: "files", Read: readSecret},
			{Title: "processes", Read: readBothProcesses},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the first container has the new file", "file in web", evidence.Present()),
			evidence.AlwaysIs("the second one does not: what is mounted there stays there", "file in side", evidence.Gone()),
			stays(evidence.Custom("the second one sees none of the first one's processes: its list begins anew at 1", []string{"processes that side sees", "pids of web's first process"}, seesOnlyItsOwn)),
		},
	}
}

func stays(e evidence.Expectation) evidence.Expectation {
	e.Stays = true
	return e
}

// readSecret looks for the file from where each container's / is.
func readSecret(_ context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
	for _, name := range []string{web, side} {
		pid, err := b.Pid(name)
		if err != nil {
			return facts, err
		}
		path := fmt.Sprintf("/proc/%d/root%s", pid, secretFile)
		text, err := os.ReadFile(path)
		value := strings.TrimSpace(string(text))
		if err != nil {
			value = evidence.Absent
		}
		facts = append(facts, evidence.F("file in "+name, "cat "+path, value))
	}
	return facts, nil
}

func joinInts(list []int) string { return strings.Trim(fmt.Sprint(list), "[]") }

// readBothProcesses lists each container's /proc, and the pids of its first process: on
// the host, then inside.
func readBothProcesses(_ context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
	for _, name := range []string{web, side} {
		pid, err := b.Pid(name)
		if err != nil {
			return facts, err
		}
		proc := fmt.Sprintf("/proc/%d/root/proc", pid)
		list, err := nsdemo.Processes(proc)
		if err != nil {
			return facts, err
		}
		status, err := nsdemo.ReadStatus("/proc", pid)
		if err != nil {
			return facts, err
		}
		var seen []int
		for _, p := range list {
			seen = append(seen, p.Pid)
		}
		facts = append(facts,
			evidence.F("processes that "+name+" sees", "ls "+proc, joinInts(seen)),
			evidence.F("pids of "+name+"'s first process", fmt.Sprintf("NSpid in /proc/%d/status", pid), joinInts(status.NSpid)))
	}
	return facts, nil
}

// seesOnlyItsOwn judges that 1 is in the list, and the other's pid on the host is not.
func seesOnlyItsOwn(o evidence.Observed) evidence.Verdict {
	list := o.After.Value("processes that side sees")
	other, _, _ := strings.Cut(o.After.Value("pids of web's first process"), " ")
	seen := strings.Fields(list)
	return evidence.Judged(slices.Contains(seen, "1") && !slices.Contains(seen, other), "1, and not "+other, list)
}
