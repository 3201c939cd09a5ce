package labs

import (
	"context"
	"fmt"
	"slices"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
)

// overlayLab is lab 28: one network over two hosts, and a network made by a
// plugin.
func overlayLab() bench.Lab {
	return bench.Lab{ID: "28", Name: "overlaynet", Needs: needs("ns.net", "net.veth", "net.bridge", "net.vxlan"),
		Steps: []bench.Step{
			overlayHostsStep(),
			overlayTunnelStep(),
			overlayRemotesStep(),
			overlayMTUStep(),
			pluginAddStep(),
			pluginDelStep(),
		}}
}

// Two hosts on one wire, the underlay, and a container on each. Both containers
// believe that they are on one network, the overlay.
const (
	host1, host2 = "host1", "host2"
	cont1, cont2 = "c1", "c2"
	under1       = "10.0.0.1"
	under2       = "10.0.0.2"
	over1        = "10.9.0.2"
	over2        = "10.9.0.3"
	overBridge   = "br-over"
	tunnel       = "vx42"
	vni          = 42
)

// sides are the two halves of the overlay.
var sides = []struct{ host, container, under, over string }{
	{host1, cont1, under1, over1}, {host2, cont2, under2, over2},
}

var overlayNames = []string{host1, host2, cont1, cont2}

func underlay() cable {
	return cable{name: "under0", peer: "under0", near: prefix(under1 + "/24"), far: prefix(under2 + "/24")}
}

func overCable(container, address string) cable {
	return cable{name: "veth-" + container, peer: "eth0", master: overBridge, far: prefix(address + "/24"), mac: netdemo.MACFor(addr(address))}
}

func overlayHostsStep() bench.Step {
	return bench.Step{
		Name: "hosts", Inside: cont1,
		Do:     makeTwoHosts,
		ByHand: bench.ByHand{Lines: bench.Lines(twoHostsByHand()...), Tools: []bench.Tool{bench.IP, bench.Sleep}},
		Look: []bench.View{{Title: "who answers whom", Read: viewNets(overlayNames, func(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
			return []evidence.Fact{pinged(n, host1, under2), pinged(n, host1, over1), pinged(n, cont1, over2)}, nil
		})}},
		Draw: drawNetworks(overlayNames...),
		Expect: []evidence.Expectation{
			evidence.Becomes("the hosts reach each other on the underlay", "ping "+under2+" from host1", reachable(under2, 64)),
			evidence.Becomes("the containers have addresses of one subnet, but no wire between them", "ping "+over2+" from c1", evidence.Equals("no answer")),
			evidence.Becomes("the host itself is not on the containers' network", "ping "+over1+" from host1", evidence.Equals("ENETUNREACH")),
		},
	}
}

func makeTwoHosts(ctx context.Context, b *bench.Bench) error {
	if err := startContainers(ctx, b, overlayNames...); err != nil {
		return err
	}
	return inNets(b, func(n nets) error {
		if err := lay(n[host1], n[host2], underlay()); err != nil {
			return err
		}
		for _, s := range sides {
			if err := netdemo.CreateBridge(n[s.host], netdemo.BridgeSpec{Name: overBridge}); err != nil {
				return err
			}
			if err := lay(n[s.host], n[s.container], overCable(s.container, s.over)); err != nil {
				return err
			}
		}
		return nil
	}, overlayNames...)
}

func twoHostsByHand() []string {
	var lines []string
	for _, name := range overlayNames {
		lines = append(lines, netnsByHand(name)...)
	}
	lines = append(lines, layByHand(host1, host2, underlay())...)
	for _, s := range sides {
		lines = append(lines, "ip -n "+s.host+" link add "+overBridge+" type bridge", "ip -n "+s.host+" link set "+overBridge+" up")
		lines = append(lines, layByHand(s.host, s.container, overCable(s.container, s.over))...)
	}
	return lines
}

func overlayTunnelStep() bench.Step {
	return bench.Step{
		Name: "tunnel", Inside: host1,
		Reproduces: []string{"net-overlay"},
		Do:         inOverlay(makeTunnel),
		ByHand:     bench.ByHand{Lines: bench.Lines(tunnelByHand()...), Tools: []bench.Tool{bench.IP}},
		Look: []bench.View{
			{Title: "the tunnel's ends", Read: viewAll(overlayNames, readTunnel)},
			{Title: "what the end on host1 knows", Read: viewAll(overlayNames, readRemotes)},
			{Title: "who answers whom", Read: viewAll(overlayNames, readOverlayPing)},
		},
		Draw: drawNetworks(overlayNames...),
		Expect: []evidence.Expectation{
			evidence.Becomes("host1 has an end of the tunnel", "vx42 on host1", evidence.Contains("vni 42, UDP port 4789, local "+under1)),
			evidence.Becomes("host2 has the other one", "vx42 on host2", evidence.Contains("vni 42, UDP port 4789, local "+under2)),
			evidence.Becomes("it is a port of the bridge, as the container is", "ports of br-over on host1", evidence.Equals("veth-c1 vx42")),
			evidence.AlwaysIs("it has not been told where anybody is", "MAC of c2", evidence.Gone()),
			evidence.AlwaysIs("so there is still no way across", "ping "+over2+" from c1", evidence.Equals("no answer")),
		},
	}
}

// inOverlay is an act on all four namespaces.
func inOverlay(act func(nets) error) func(context.Context, *bench.Bench) error {
	return func(_ context.Context, b *bench.Bench) error { return inNets(b, act, overlayNames...) }
}

func makeTunnel(n nets) error {
	for _, s := range sides {
		spec := netdemo.VXLANSpec{Name: tunnel, VNI: vni, Local: addr(s.under), MTU: 1500 - netdemo.VXLANOverhead, Bridge: overBridge}
		if err := netdemo.CreateVXLAN(n[s.host], spec); err != nil {
			return err
		}
	}
	return nil
}

func tunnelByHand() []string {
	var lines []string
	for _, s := range sides {
		lines = append(lines,
			fmt.Sprintf("ip -n %s link add %s mtu 1450 type vxlan id %d local %s dstport 4789 nolearning", s.host, tunnel, vni, s.under),
			fmt.Sprintf("ip -n %s link set %s master %s up", s.host, tunnel, overBridge))
	}
	return lines
}

func overlayRemotesStep() bench.Step {
	return bench.Step{
		Name: "remotes", Inside: cont1,
		Reproduces: []string{"net-overlay"},
		Do:         inOverlay(tellRemotes),
		ByHand:     bench.ByHand{Lines: bench.Lines(remotesByHand()...), Tools: []bench.Tool{bench.Bridge, bench.Timeout, bench.Ping, bench.Nsenter, bench.Tcpdump}},
		Look: []bench.View{
			{Title: "what the end on host1 knows", Read: viewAll(overlayNames, readRemotes)},
			{Title: "who answers whom", Read: viewAll(overlayNames, readOverlayPing)},
			{Title: "the ping, as it goes over the underlay", Read: viewAll(overlayNames, readUnderlayFrames)},
		},
		Draw: drawNetworks(overlayNames...),
		Expect: []evidence.Expectation{
			evidence.Becomes("the forwarding table has the remote container's MAC, with the host it is on", "MAC of c2", evidence.Contains("dst "+under2)),
			evidence.Becomes("what is for everybody goes to that host too", "MAC of everybody", evidence.Contains("dst "+under2)),
			evidence.Becomes("the containers reach each other, with no router between them", "ping "+over2+" from c1", reachable(over2, 64)),
			evidence.Becomes("on the wire is a packet from host to host", "outer addresses", evidence.Equals(under1+" to "+under2)),
			evidence.Becomes("to UDP port 4789", "outer UDP port", evidence.Equals("4789")),
			evidence.Becomes("which carries the number of the overlay", "VXLAN number", evidence.Equals("42")),
			evidence.Becomes("and the container's whole frame", "inner addresses", evidence.Equals(over1+" to "+over2)),
			evidence.Becomes("down to its MACs", "inner MACs", evidence.Equals("02:42:0a:09:00:02 to 02:42:0a:09:00:03")),
			evidence.Becomes("all of which costs 50 bytes", "bytes around the inner packet", evidence.Equals("50")),
		},
	}
}

func tellRemotes(n nets) error {
	for i, s := range sides {
		other := sides[1-i]
		remote := netdemo.Remote{Addr: addr(other.over), MAC: netdemo.MACFor(addr(other.over)), Host: addr(other.under)}
		if err := netdemo.AddRemote(n[s.host], tunnel, remote); err != nil {
			return err
		}
		if err := netdemo.AddFlood(n[s.host], tunnel, remote.Host); err != nil {
			return err
		}
	}
	return nil
}

func remotesByHand() []string {
	var lines []string
	for i, s := range sides {
		other := sides[1-i]
		lines = append(lines,
			fmt.Sprintf("bridge -n %s fdb replace %s dev %s dst %s", s.host, netdemo.MACFor(addr(other.over)), tunnel, other.under),
			fmt.Sprintf("bridge -n %s fdb append 00:00:00:00:00:00 dev %s dst %s", s.host, tunnel, other.under))
	}
	return append(lines,
		"timeout 5 "+enterNet(host1)+" tcpdump -l -nn -e -c 2 -i under0 udp port 4789 > frames.txt 2> tcpdump.txt & echo $! > tcpdump.pid",
		"until grep -q listening tcpdump.txt || ! kill -0 $(cat tcpdump.pid); do sleep 0.01; done",
		enterNet(cont1)+" ping -c 1 -W 2 "+over2,
		"wait $(cat tcpdump.pid); cat frames.txt")
}

func overlayMTUStep() bench.Step {
	return bench.Step{
		Name: "mtu", Inside: cont1,
		Reproduces: []string{"net-overlay"},
		Do: inOverlay(func(n nets) error {
			for _, s := range sides {
				if err := netdemo.SetMTU(n[s.container], "eth0", 1500-netdemo.VXLANOverhead); err != nil {
					return err
				}
			}
			return nil
		}),
		ByHand: bench.ByHand{
			Lines: bench.Lines("ip -n c1 link set eth0 mtu 1450", "ip -n c2 link set eth0 mtu 1450"),
			Tools: []bench.Tool{bench.IP},
		},
		Look: []bench.View{
			{Title: "the largest packets", Read: viewAll(overlayNames, readMTUs)},
			{Title: "what becomes of a packet from c1 to c2 that must not be cut up", Read: viewAll(overlayNames, readSizes)},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the containers know how much fits through the tunnel", "MTU of eth0 in c1", evidence.Equals("1450")),
			evidence.AlwaysIs("the wire between the hosts takes 50 bytes more", "MTU of under0 on host1", evidence.Equals("1500")),
			evidence.AlwaysIs("what fits arrives", "packet of 1450 bytes", evidence.Equals("arrives")),
			evidence.Becomes("what does not fit is refused at once, where before it was lost without a word", "packet of 1500 bytes", evidence.Equals("refused: EMSGSIZE")),
		},
	}
}

// The plugin makes a network on the lab host itself.
const (
	pod        = "pod" // the container that the plugin is called for
	pluginDir  = "/usr/lib/cni"
	pluginNet  = "10.22.0.0/16"
	podAddress = "10.22.0.2"
)

// pluginTool brings all the usual plugins.
var pluginTool = bench.Tool{Program: pluginDir + "/bridge", Package: "containernetworking-plugins"}

func pluginAddStep() bench.Step {
	return bench.Step{
		Name: "plugin-add", Inside: pod,
		Reproduces: []string{"net-plugin"},
		Do:         pluginAdd,
		ByHand: bench.ByHand{
			Lines: bench.Lines(slices.Concat(netnsByHand(pod), []string{
				"printf '%s' '" + pluginConfig("state-of-cni") + "' > net.conf",
				pluginEnv("ADD") + pluginTool.Program + " < net.conf > result.json",
				"cat result.json",
			})...),
			Tools: []bench.Tool{bench.IP, bench.Sleep, bench.Cat, pluginTool},
		},
		Look: []bench.View{
			{Title: "configuration in, result out", Read: readPluginFiles},
			{Title: "what the kernel has", Read: viewNets([]string{pod}, readPod)},
		},
		Draw: drawNetworks(theHost, pod),
		Expect: []evidence.Expectation{
			evidence.Becomes("the plugin was given a configuration that names its type", "type", evidence.Equals("bridge")),
			evidence.Becomes("its result says which address the container got", "address in the result", evidence.Equals(podAddress+"/16")),
			evidence.Becomes("the kernel agrees", "eth0 in the sandbox", evidence.Equals("UP, "+podAddress+"/16")),
			evidence.Same("the MAC in the result is the link's own", "MAC in the result", "MAC of eth0"),
			evidence.Becomes("the bridge of the configuration is there, with the gateway's address", "cni0 on the host", evidence.Equals("UP, 10.22.0.1/16")),
			evidence.Becomes("the container is a port of it", "ports of cni0", evidence.Matches(`^veth[0-9a-f]+$`)),
			evidence.Becomes("and answers", "ping "+podAddress+" from host", reachable(podAddress, 64)),
			evidence.Becomes("another plugin, host-local, keeps who has which address", "lease of "+podAddress, evidence.Contains("cutaway-pod")),
		},
	}
}

func pluginDelStep() bench.Step {
	return bench.Step{
		Name: "plugin-del", Inside: pod,
		Reproduces: []string{"net-plugin"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			return withPlugin(b, func(c netdemo.CNI, n nets) error { return c.Del(ctx, n[theHost], n[pod]) })
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(pluginEnv("DEL") + pluginTool.Program + " < net.conf"),
			Tools: []bench.Tool{pluginTool},
		},
		Look: []bench.View{
			{Title: "configuration in, result out", Read: readPluginFiles},
			{Title: "what the kernel has", Read: viewNets([]string{pod}, readPod)},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container's interface is gone", "eth0 in the sandbox", evidence.Gone()),
			evidence.Becomes("and its port on the bridge with it", "ports of cni0", evidence.Equals("none")),
			evidence.Becomes("the address can be given to another one", "lease of "+podAddress, evidence.Gone()),
			evidence.AlwaysIs("the bridge stays, for the next container", "cni0 on the host", evidence.Contains("10.22.0.1/16")),
		},
	}
}

// pluginConfig is what a person writes into /etc/cni/net.d.
func pluginConfig(leases string) string {
	return `{"cniVersion":"1.0.0","name":"cutaway","type":"bridge","bridge":"cni0","isGateway":true,` +
		`"ipam":{"type":"host-local","subnet":"` + pluginNet + `","routes":[{"dst":"0.0.0.0/0"}],"dataDir":"` + leases + `"}}`
}

// pluginEnv are the rest of the arguments, which a plugin gets as variables.
func pluginEnv(command string) string {
	return "CNI_COMMAND=" + command + " CNI_CONTAINERID=cutaway-pod CNI_NETNS=/run/netns/" + pod + " CNI_IFNAME=eth0 CNI_PATH=" + pluginDir + " "
}
