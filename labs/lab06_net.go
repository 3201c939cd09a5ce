package labs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// netLab is lab 06: network devices and ports of one's own. The steps on ports
// stand in lab06_ports.go.
func netLab() bench.Lab {
	return bench.Lab{ID: "06", Name: "net", Needs: needs("ns.net"), Steps: []bench.Step{
		netHostStep(),
		netStartStep(),
		netLoopbackStep(),
		netListenInsideStep(),
		netListenHostStep(),
		netConflictStep(),
	}}
}

// uplink is the device that the lab host gets, so that it has one to hide.
const (
	uplink        = "uplink"
	uplinkAddress = "192.0.2.1/24" // for documentation, RFC 5737: nobody's own
)

func netHostStep() bench.Step {
	return bench.Step{
		Name: "host", Needs: needs("net.veth"),
		Do: func(context.Context, *bench.Bench) error { return addUplink() },
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"ip link add "+uplink+" type veth peer name far-end",
				"ip address add "+uplinkAddress+" dev "+uplink,
				"ip link set "+uplink+" up"),
			Tools: []bench.Tool{bench.IP},
		},
		Look: []bench.View{{Title: "devices of the lab host", Read: readHostDevices}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the host has a network device that is up and has an address", uplink, evidence.Contains(uplinkAddress)),
			evidence.Keeps("its loopback device is as it was", "lo"),
		},
	}
}

// addUplink makes a veth pair, the one kind of device that Docker itself cannot
// do without; one end plays the network card.
func addUplink() error {
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: uplink}, PeerName: "far-end"}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("RTM_NEWLINK veth %s: %w", uplink, err)
	}
	address, err := netlink.ParseAddr(uplinkAddress)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(veth, address); err != nil {
		return fmt.Errorf("RTM_NEWADDR %s dev %s: %w", uplinkAddress, uplink, err)
	}
	return netlink.LinkSetUp(veth)
}

func netStartStep() bench.Step {
	return bench.Step{
		Name: "start", Inside: inner,
		Reproduces: []string{"ns-net-empty"},
		Do:         startIn(nsdemo.Net),
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"unshare --net sleep 1000 & echo $! > inner.pid", waitUntilUnshared("net"),
				"nsenter --target $(cat inner.pid) --net ip address"),
			Tools: []bench.Tool{bench.Unshare, bench.Nsenter, bench.Sleep, bench.IP},
		},
		Look: []bench.View{
			{Title: "namespace ids", Columns: []string{"inside", "host"}, Read: readIDs(nsdemo.Net, nsdemo.Mnt)},
			{Title: "network devices", Columns: []string{"inside", "host"}, Read: readDevices},
		},
		Expect: []evidence.Expectation{
			evidence.ColumnsDiffer("the process has a net namespace of its own", "net", 0, 1),
			evidence.Becomes("inside there is one device, lo", allDevices, evidence.Equals("lo")),
			evidence.Becomes("lo is down, so not even 127.0.0.1 is there", "lo", evidence.Equals("DOWN, no address")),
			evidence.Custom("of the host's own devices none is inside", []string{allDevices}, hostDevicesAreHidden),
		},
	}
}

// hostDevicesAreHidden is untested on a host that has nothing to hide.
func hostDevicesAreHidden(o evidence.Observed) evidence.Verdict {
	in := strings.Fields(o.After.Column(allDevices, 0))
	host := slices.DeleteFunc(strings.Fields(o.After.Column(allDevices, 1)), func(name string) bool { return name == "lo" })
	v := evidence.Judged(len(in) > 0 && in[0] != evidence.Absent, "none of "+strings.Join(host, " "), strings.Join(in, " "))
	if len(host) == 0 {
		v.Outcome, v.Reason = evidence.Untested, "the host has no device but lo: the step host was not performed"
	}
	for _, name := range host {
		if slices.Contains(in, name) {
			v.Outcome = evidence.Fails
		}
	}
	return v
}

// allDevices is the fact that lists the names of all devices.
const allDevices = "all devices"

// fallbackTunnels are devices without a use that some kernels put into every new
// net namespace once their module is loaded
// (Documentation/admin-guide/sysctl/net.rst, fb_tunnels_only_for_init_net).
var fallbackTunnels = []string{"tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "sit0", "ip6tnl0", "ip6gre0", "ip6_vti0"}

func isFallbackTunnel(l nsdemo.Link) bool { return slices.Contains(fallbackTunnels, l.Name) }

// readHostDevices lists the devices of the lab host, a row for each.
func readHostDevices(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	links, err := nsdemo.Links()
	var facts []evidence.Fact
	for _, l := range slices.DeleteFunc(links, isFallbackTunnel) {
		facts = append(facts, evidence.F(l.Name, "ip address show dev "+l.Name, describeLink(l)))
	}
	return facts, err
}

// readDevices asks rtnetlink(7) on both sides.
func readDevices(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	host, err := nsdemo.Links()
	if err != nil {
		return nil, err
	}
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return nil, err
	}
	in, err := p.Links(ctx)
	if err != nil {
		return nil, err
	}
	in, host = slices.DeleteFunc(in, isFallbackTunnel), slices.DeleteFunc(host, isFallbackTunnel)
	pid, _ := b.Pid(inner)
	from := fmt.Sprintf("nsenter --target %d --net ip address; ip address", pid)
	facts := []evidence.Fact{evidence.F(allDevices, from, linkNames(in), linkNames(host))}
	for _, l := range host {
		facts = append(facts, evidence.F(l.Name, from, describeNamed(in, l.Name), describeLink(l)))
	}
	return facts, nil
}

func linkNames(links []nsdemo.Link) string {
	var names []string
	for _, l := range links {
		names = append(names, l.Name)
	}
	return strings.Join(names, " ")
}

func describeNamed(links []nsdemo.Link, name string) string {
	for _, l := range links {
		if l.Name == name {
			return describeLink(l)
		}
	}
	return evidence.Absent
}

func describeLink(l nsdemo.Link) string {
	state, addresses := "DOWN", "no address"
	if l.Up {
		state = "UP"
	}
	if len(l.Addrs) > 0 {
		addresses = strings.Join(l.Addrs, " ")
	}
	return state + ", " + addresses
}
