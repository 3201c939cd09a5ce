package labs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
	"cutaway/nsdemo"
)

// The labs that publish ports and join networks share what stands here, on top
// of what all labs on container networks have: how somebody is plugged in, and how
// several net namespaces are read at once, some of which may not exist yet.

// viewNets is a view on the lab host's net namespace and those of containers.
// Containers that do not exist yet are missing from the map: a reading before
// the act finds less.
func viewNets(names []string, read func(context.Context, *bench.Bench, nets) ([]evidence.Fact, error)) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		open := nets{}
		for _, name := range append([]string{theHost}, names...) {
			ns, err := openNet(b, name)
			if errors.Is(err, bench.ErrNoSubject) {
				continue
			}
			if err != nil {
				return nil, err
			}
			defer ns.Close()
			open[name] = ns
		}
		if err := netdemo.Settle(slices.Collect(maps.Values(open))...); err != nil {
			return nil, err
		}
		return read(ctx, b, open)
	}
}

// viewAll is a view that makes sense only once all of them exist.
func viewAll(names []string, read func(context.Context, *bench.Bench, nets) ([]evidence.Fact, error)) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return viewNets(names, func(ctx context.Context, b *bench.Bench, n nets) ([]evidence.Fact, error) {
		if len(n) <= len(names) {
			return nil, bench.ErrNoSubject
		}
		return read(ctx, b, n)
	})
}

// withNets is an act on the lab host's net namespace and those of containers.
func withNets(act func(context.Context, *bench.Bench, nets) error, names ...string) func(context.Context, *bench.Bench) error {
	return func(ctx context.Context, b *bench.Bench) error {
		return inNets(b, func(n nets) error { return act(ctx, b, n) }, append(names, theHost)...)
	}
}

// startContainers makes containers that have nothing but a net namespace.
func startContainers(ctx context.Context, b *bench.Bench, names ...string) error {
	for _, name := range names {
		if err := startContainer(ctx, b, name, nsdemo.Net); err != nil {
			return err
		}
	}
	return nil
}

// enterNet begins a shell line that runs in a net namespace by its name.
func enterNet(name string) string { return "nsenter --net=/run/netns/" + name }

// cable is a veth pair: one end in this namespace, the other in that one.
type cable struct {
	name, peer   string           // what the ends are called
	master       string           // the bridge that the near end is a port of, or ""
	near, far    netip.Prefix     // addresses of the ends; not valid for none
	defaultRoute netip.Addr       // of the far end's namespace; not valid for none
	mac          net.HardwareAddr // of the far end; nil for a random one
}

// lay makes the pair with its addresses. The route comes last: its gateway
// must be reachable to be accepted.
func lay(here, there *netdemo.Namespace, c cable) error {
	err := netdemo.CreateVeth(here, netdemo.VethSpec{Name: c.name, Peer: c.peer, PeerIn: there, Master: c.master, PeerMAC: c.mac})
	if err != nil {
		return err
	}
	if c.near.IsValid() {
		err = errors.Join(err, netdemo.AddAddress(here, c.name, c.near))
	}
	if c.far.IsValid() {
		err = errors.Join(err, netdemo.AddAddress(there, c.peer, c.far))
	}
	err = errors.Join(err, netdemo.SetUp(there, "lo"), netdemo.SetUp(there, c.peer))
	if err == nil && c.defaultRoute.IsValid() {
		err = netdemo.AddDefaultRoute(there, c.defaultRoute)
	}
	if err == nil {
		err = netdemo.Settle(there, here)
	}
	return err
}

// layByHand are the same steps as shell lines. here is a box, or "" for the
// lab host.
func layByHand(here, there string, c cable) []string {
	ip := "ip"
	if here != "" {
		ip += " -n " + here
	}
	peer := c.peer
	if c.mac != nil {
		peer += " address " + c.mac.String()
	}
	lines := []string{fmt.Sprintf("%s link add %s type veth peer name %s netns %s", ip, c.name, peer, there)}
	if c.near.IsValid() {
		lines = append(lines, fmt.Sprintf("%s address add %s dev %s", ip, c.near, c.name))
	}
	if c.master != "" {
		lines = append(lines, fmt.Sprintf("%s link set %s master %s", ip, c.name, c.master))
	}
	lines = append(lines, fmt.Sprintf("%s link set %s up", ip, c.name))
	if c.far.IsValid() {
		lines = append(lines, fmt.Sprintf("ip -n %s address add %s dev %s", there, c.far, c.peer))
	}
	lines = append(lines, "ip -n "+there+" link set lo up", fmt.Sprintf("ip -n %s link set %s up", there, c.peer))
	if c.defaultRoute.IsValid() {
		lines = append(lines, fmt.Sprintf("ip -n %s route add default via %s", there, c.defaultRoute))
	}
	return lines
}

// readSysctl reads a file below /proc/sys.
func readSysctl(name, path string) evidence.Fact {
	text, err := os.ReadFile(path)
	if err != nil {
		return evidence.F(name, path, evidence.Absent)
	}
	return evidence.F(name, path, strings.Join(strings.Fields(string(text)), " "))
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
