package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
	"cutaway/nsdemo"
)

// The labs on container networks share what stands here: who is in them, how a
// container starts with a name that `ip netns` knows, and how one net namespace is
// read while another acts. The worker's own net namespace plays the host.
const (
	theHost = "host"
	world   = "outside" // a machine somewhere, at the other end of the host's uplink
	web     = "web"
	db      = "db"
)

// openNet opens the net namespace of a container, or the host's. The host's is
// asked of this thread: the thread that /proc/self stands for may be anywhere.
func openNet(b *bench.Bench, name string) (*netdemo.Namespace, error) {
	if name == theHost {
		return netdemo.OpenNamespace("/proc/thread-self/ns/net")
	}
	pid, err := b.Pid(name)
	if err != nil {
		return nil, err
	}
	return netdemo.OpenPid(pid)
}

// nets are opened net namespaces by name.
type nets map[string]*netdemo.Namespace

// inNets opens net namespaces for as long as the act takes.
func inNets(b *bench.Bench, act func(nets) error, names ...string) error {
	open := nets{}
	for _, name := range names {
		ns, err := openNet(b, name)
		if err != nil {
			return err
		}
		defer ns.Close()
		open[name] = ns
	}
	return act(open)
}

// factsOf opens one net namespace to read facts from it.
func factsOf(b *bench.Bench, name string, read func(*netdemo.Namespace) ([]evidence.Fact, error)) (facts []evidence.Fact, err error) {
	err = inNets(b, func(n nets) (err error) {
		if err := netdemo.Settle(n[name], n[theHost]); err != nil {
			return err
		}
		facts, err = read(n[name])
		return err
	}, name, theHost)
	return facts, err
}

// startContainer clones a process into new namespaces, and gives its net namespace,
// if it has one, the name that `ip netns add` would give it.
func startContainer(ctx context.Context, b *bench.Bench, name string, kinds ...nsdemo.Kind) error {
	spec := nsdemo.Spec{Kinds: kinds}
	spec.Proc = spec.Has(nsdemo.PID) && spec.Has(nsdemo.Mnt)
	p, err := nsdemo.Start(ctx, spec)
	if err != nil {
		return err
	}
	if err := b.Keep(name, p); err != nil {
		return err
	}
	if !spec.Has(nsdemo.Net) {
		return nil
	}
	if err := nsdemo.Pin("/proc", p.Pid(), nsdemo.Net, "/run/netns/"+name); err != nil {
		return err
	}
	return inNets(b, func(n nets) error { return onlyIPv4(n[name]) }, name)
}

// onlyIPv4 keeps IPv6 out of the picture: its links talk as soon as they are up, and
// would stand between the frames that a lab is about.
func onlyIPv4(ns *netdemo.Namespace) error {
	err := netdemo.WriteSysctl(ns, "net.ipv6.conf.all.disable_ipv6", "1")
	if errors.Is(err, os.ErrNotExist) {
		return nil // a kernel without IPv6
	}
	return err
}

// onlyIPv4ByHand is the same as a shell line.
func onlyIPv4ByHand(name string) string {
	return "ip netns exec " + name + " sh -c '[ ! -d /proc/sys/net/ipv6 ] || echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6'"
}

// netnsByHand are shell lines that make a net namespace by name, with a process in it.
func netnsByHand(name string) []string {
	return []string{
		"ip netns add " + name,
		onlyIPv4ByHand(name),
		"ip netns exec " + name + " sleep 1000 & echo $! > " + name + ".pid",
		waitUntilRuns(name, "sleep"),
	}
}

// containerByHand are shell lines that start a container in new namespaces, given as
// unshare(1) wants them. (A $(command) in the line would for a moment be a child too, and
// taken for the container.)
func containerByHand(name, unshare string) []string {
	return append([]string{unshare + " --fork --kill-child --mount-proc sleep 1000 &"}, childIs(name)...)
}

// together joins lists of shell lines.
func together(lists ...[]string) func(*bench.Bench) []string {
	var all []string
	for _, l := range lists {
		all = append(all, l...)
	}
	return bench.Lines(all...)
}

// entering is what to put before a command to run it in somebody's net namespace.
func entering(name string) string {
	if name == theHost {
		return ""
	}
	return "nsenter --target $(cat " + name + ".pid) --net "
}

// enterAll is what to put before a command to run it in all namespaces of a container.
func enterAll(name string) string {
	return "nsenter --target $(cat " + name + ".pid) --mount --uts --ipc --net --pid "
}

// patience is how long a ping may take. Here an answer takes microseconds, so this
// only bounds how long it takes to find out that there is none. On a processor that
// QEMU emulates an answer may take a second, when others use the real one.
func patience() time.Duration {
	if os.Getenv("CUTAWAY_VM") != "" {
		return 3 * time.Second
	}
	return 700 * time.Millisecond
}

// pingFact pings from a namespace and notes what came of it.
func pingFact(ns *netdemo.Namespace, name, dst string) evidence.Fact {
	from := entering(name) + "ping -c 1 " + dst
	value := ""
	echo, err := netdemo.Ping(ns, addr(dst), patience())
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		value = "no answer"
	case err != nil:
		value = answer(err)
	default:
		value = fmt.Sprintf("answer from %s, ttl %d", echo.From, echo.TTL)
	}
	return evidence.F("ping "+dst+" from "+name, from, value)
}

// readPings pings from each place to an address.
func readPings(dst string, names ...string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
		for _, name := range names {
			one, readErr := factsOf(b, name, func(ns *netdemo.Namespace) ([]evidence.Fact, error) {
				return []evidence.Fact{pingFact(ns, name, dst)}, nil
			})
			facts, err = append(facts, one...), errors.Join(err, readErr)
		}
		return facts, err
	}
}

// reachable matches the answer to a ping: ttl 64 is one that passed no router.
func reachable(dst string, ttl int) evidence.Matcher {
	return evidence.Equals(fmt.Sprintf("answer from %s, ttl %d", dst, ttl))
}

// linkWords are "eth0 eth1" of a namespace. Left out are the tunnel devices without a
// use that some kernels put into every new net namespace: they are none of the kinds
// that these labs make.
func linkWords(ns *netdemo.Namespace) (string, error) {
	links, err := netdemo.Links(ns)
	var names []string
	for _, l := range links {
		if l.Kind == "veth" || l.Kind == "bridge" || l.Name == "lo" {
			names = append(names, l.Name)
		}
	}
	return strings.Join(names, " "), err
}

// stateWords are "UP, 127.0.0.1/8" of a link.
func stateWords(ns *netdemo.Namespace, name string) (string, error) {
	link, err := netdemo.LinkByName(ns, name)
	if errors.Is(err, syscall.ENODEV) {
		return evidence.Absent, nil
	}
	if err != nil {
		return "", err
	}
	all, err := netdemo.Addresses(ns)
	state, addresses := map[bool]string{true: "UP", false: "DOWN"}[link.Up], ""
	for _, a := range all {
		if a.Link == link.Index && a.Prefix.Addr().Is4() {
			addresses += " " + a.Prefix.String()
		}
	}
	if addresses == "" {
		addresses = " no address"
	}
	return state + "," + addresses, err
}
