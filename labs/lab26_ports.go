package labs

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
)

// portsLab is lab 26: how a port of the host becomes a port of a container.
func portsLab() bench.Lab {
	return bench.Lab{ID: "26", Name: "ports", Needs: needs("ns.net", "net.veth", "net.bridge", "net.forward.netns", "nft.nat", "nft.masq", "nft.ct", "nft.fib", "conntrack"),
		Steps: []bench.Step{
			portsContainersStep(),
			portsPublishStep(),
			portsProxyStep(),
			portsHairpinStep(),
			portsAutoStep(),
		}}
}

// The lab host has an address that outsiders know; the containers' subnet is
// known to nobody outside.
const (
	webBridge  = "br-web"
	webSubnet  = "172.18.0.0/16"
	webGateway = "172.18.0.1"
	webAddress = "172.18.0.2"
	byDNAT     = wayOutAddr + ":8080"
	byProxy    = wayOutAddr + ":8081"
)

var portsBoxes = []string{web, db, world}

func toWorld() cable {
	return cable{name: wayOut, peer: "eth0", near: prefix(wayOutAddr + wayOutNet), far: prefix(worldAddr + wayOutNet)}
}

func webCable() cable { return portsCable("veth-web", webAddress) }
func dbCable() cable  { return portsCable("veth-db", "172.18.0.3") }

func portsCable(name, address string) cable {
	return cable{name: name, peer: "eth0", master: webBridge, far: prefix(address + "/16"), defaultRoute: addr(webGateway)}
}

func portsContainersStep() bench.Step {
	return bench.Step{
		Name: "containers", Inside: web,
		Do:     makePortsStage,
		ByHand: bench.ByHand{Lines: bench.Lines(portsStageByHand()...), Tools: []bench.Tool{bench.IP, bench.Sleep, bench.Nsenter, bench.Mkdir, bench.Busybox, bench.Grep, bench.Sysctl}},
		Look: []bench.View{{Title: "who reaches the web server at its own address", Read: viewNets(portsBoxes, func(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
			return []evidence.Fact{asked(n, theHost, webAddress), asked(n, db, webAddress), asked(n, world, webAddress), asked(n, world, byDNAT)}, nil
		})}},
		Draw: drawNetworks(theHost, web, db, world),
		Expect: []evidence.Expectation{
			evidence.Becomes("the host reaches the container at the container's own address", "host asks "+webAddress, evidence.Equals(greeting(web))),
			evidence.Becomes("so does the other container on the bridge", "db asks "+webAddress, evidence.Equals(greeting(web))),
			evidence.Becomes("outside nobody knows a way to that address", "outside asks "+webAddress, evidence.Equals("no route")),
			evidence.Becomes("and nothing listens at the host's address", "outside asks "+byDNAT, evidence.Equals("refused")),
		},
	}
}

// makePortsStage makes a bridge with two containers, and a cable to somebody
// outside who has no route to them.
func makePortsStage(ctx context.Context, b *bench.Bench) error {
	if err := startContainers(ctx, b, portsBoxes...); err != nil {
		return err
	}
	err := inNets(b, func(n nets) error {
		if err := lay(n[theHost], n[world], toWorld()); err != nil {
			return err
		}
		if err := makeRouter(n[theHost], webBridge, prefix(webGateway+"/16")); err != nil {
			return err
		}
		if err := lay(n[theHost], n[web], webCable()); err != nil {
			return err
		}
		return lay(n[theHost], n[db], dbCable())
	}, append(portsBoxes, theHost)...)
	if err != nil {
		return err
	}
	return startWebServer(ctx, b, web, 80)
}

// makeRouter makes a bridge whose own address is the containers' gateway, and
// lets the host pass packets on.
func makeRouter(host *netdemo.Namespace, bridge string, gateway netip.Prefix) error {
	if err := netdemo.CreateBridge(host, netdemo.BridgeSpec{Name: bridge}); err != nil {
		return err
	}
	if err := netdemo.AddAddress(host, bridge, gateway); err != nil {
		return err
	}
	return netdemo.WriteSysctl(host, "net.ipv4.ip_forward", "1")
}

func routerByHand(bridge, gateway string) []string {
	return []string{
		"ip link add " + bridge + " type bridge",
		"ip address add " + gateway + " dev " + bridge,
		"ip link set " + bridge + " up",
		"sysctl -qw net.ipv4.ip_forward=1",
	}
}

func portsStageByHand() []string {
	var lines []string
	for _, name := range portsBoxes {
		lines = append(lines, netnsByHand(name)...)
	}
	return slices.Concat(lines, layByHand("", world, toWorld()), routerByHand(webBridge, webGateway+"/16"),
		layByHand("", web, webCable()), layByHand("", db, dbCable()), webServerByHand(web, 80))
}

func portsPublishStep() bench.Step {
	return bench.Step{
		Name: "publish", Inside: world,
		Reproduces: []string{"net-publish"},
		Do:         withNets(publishByDNAT),
		ByHand: bench.ByHand{
			Lines: bench.Lines(slices.Concat(natChainsByHand(), []string{
				"nft add rule ip lab publish iifname != " + webBridge + " ip daddr != 127.0.0.0/8 tcp dport 8080 counter dnat to " + webAddress + ":80",
			})...),
			Tools: []bench.Tool{bench.Nft},
		},
		Look: []bench.View{
			{Title: "who reaches the published port", Read: viewNets(portsBoxes, readPublished)},
			{Title: "the rule, as the kernel has it", Read: viewNets(nil, readPublishRule)},
			{Title: "the connection from outside, as conntrack remembers it", Read: viewNets(nil, readOutsideFlow)},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("from outside the container answers at the host's address", "outside asks "+byDNAT, evidence.Equals(greeting(web))),
			evidence.Becomes("the host reaches it there too", "host asks "+byDNAT, evidence.Equals(greeting(web))),
			evidence.Becomes("a rule in the kernel rewrites the destination", "rule", evidence.Contains("tcp dport 8080 counter")),
			evidence.Becomes("its counter has seen the first packet of each connection", "packets counted", evidence.AtLeast(1)),
			evidence.Becomes("outside, the connection goes to the host", "the way there, as outside sent it", evidence.Contains("to "+byDNAT)),
			evidence.Becomes("the container answers, and sees the client's own address", "the answer, as the container sends it", evidence.Matches(`^`+webAddress+`:80 to 203\.0\.113\.2:`)),
			evidence.AlwaysIs("the rule leaves 127.0.0.1 alone, where nobody listens", "host asks 127.0.0.1:8080", evidence.Equals("refused")),
			evidence.AlwaysIs("it leaves neighbours on the bridge alone as well", "db asks "+byDNAT, evidence.Equals("refused")),
		},
	}
}

// auto is a container that leaves the choice of its host ports to others.
const auto = "auto"

// port8080 is what `docker run --publish 8080:80` asks for.
var port8080 = netdemo.PortSpec{Proto: netdemo.TCP, HostPort: 8080, ContainerPort: 80}

func publishByDNAT(_ context.Context, _ *bench.Bench, n nets) error {
	return netdemo.PublishByDNAT(n[theHost], webBridge, port8080, addr(webAddress))
}

// natChainsByHand make the places where rules can stand. A table of their own,
// so that they may be typed before or after the Go act.
func natChainsByHand() []string {
	return []string{
		"nft add table ip lab",
		"nft add chain ip lab publish",
		"nft 'add chain ip lab prerouting { type nat hook prerouting priority dstnat; }'",
		"nft 'add chain ip lab output { type nat hook output priority -100; }'",
		"nft 'add chain ip lab postrouting { type nat hook postrouting priority srcnat; }'",
		"nft flush table ip lab",
		"nft add rule ip lab prerouting fib daddr type local jump publish",
		"nft add rule ip lab output fib daddr type local jump publish",
	}
}

func portsProxyStep() bench.Step {
	return bench.Step{
		Name: "proxy", Inside: world,
		Reproduces: []string{"net-proxy"},
		Do:         withNets(startProxy),
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"socat TCP-LISTEN:8081,fork,reuseaddr TCP:"+webAddress+":80 & echo $! > proxy.pid",
				"until grep -q ':1F91 .* 0A ' /proc/net/tcp; do sleep 0.01; done"),
			Tools: []bench.Tool{bench.Socat, bench.Grep, bench.Sleep},
		},
		Look: []bench.View{
			{Title: "the proxy's process", Read: readProxy},
			{Title: "who reaches 8081, which has a proxy and no rule", Read: viewNets(portsBoxes, readProxied)},
			{Title: "the container's view: who asks?", Read: viewNets(nil, readProxyFlow)},
			{Title: "time of a request from outside (median of 40 each)", Read: viewNets([]string{world}, measureWays)},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the proxy is a process, and its arguments say where to", "arguments", evidence.Contains(webAddress)),
			evidence.Becomes("it holds the listening socket of port 8081", "listening at", evidence.Contains(":8081")),
			evidence.Becomes("it serves 127.0.0.1, which the rule cannot", "host asks 127.0.0.1:8081", evidence.Equals(greeting(web))),
			evidence.AlwaysIs("port 8080, with its rule alone, is still refused there", "host asks 127.0.0.1:8080", evidence.Equals("refused")),
			evidence.Becomes("it serves neighbours on the bridge", "db asks "+byProxy, evidence.Equals(greeting(web))),
			evidence.Becomes("it serves the outside", "outside asks "+byProxy, evidence.Equals(greeting(web))),
			evidence.Becomes("every byte of an answer goes through the process", "bytes through it for one request", evidence.AtLeast(float64(len(greeting(web))))),
			evidence.Becomes("the container sees the gateway as its client: the proxy hides who asks", "client", evidence.Equals(webGateway)),
			evidence.Becomes("its process works for each request, where the rule needs none", "CPU time of the proxy, ms", evidence.AtLeast(0.1)),
		},
	}
}

func startProxy(_ context.Context, b *bench.Bench, n nets) error {
	spec := netdemo.PortSpec{Proto: netdemo.TCP, HostPort: 8081, ContainerPort: 80}
	p, err := netdemo.StartProxy(n[theHost], spec, netip.MustParseAddrPort(webAddress+":80"))
	if err != nil {
		return err
	}
	return b.Keep("proxy", proxySubject{p})
}

// proxySubject is a proxy on the bench.
type proxySubject struct{ process netdemo.ProxyProcess }

func (p proxySubject) Pid() int     { return p.process.Pid }
func (p proxySubject) Close() error { return p.process.Stop() }

func portsHairpinStep() bench.Step {
	return bench.Step{
		Name: "hairpin", Inside: db,
		Reproduces: []string{"net-publish"},
		Do:         withNets(publishWithHairpin),
		ByHand: bench.ByHand{
			Lines: bench.Lines(slices.Concat(natChainsByHand(), []string{
				"nft add rule ip lab publish tcp dport 8080 counter dnat to " + webAddress + ":80",
				"nft add rule ip lab postrouting ip saddr " + webSubnet + " ip daddr " + webAddress + " tcp dport 80 ct status dnat counter masquerade",
				"nft add rule ip lab postrouting fib saddr type local oifname " + webBridge + " counter masquerade",
				"bridge link set dev " + webCable().name + " hairpin on",
				"sysctl -qw net.ipv4.conf." + webBridge + ".route_localnet=1",
			})...),
			Tools: []bench.Tool{bench.Nft, bench.Bridge, bench.Sysctl},
		},
		Look: []bench.View{
			{Title: "who reaches port 8080 without any proxy", Read: viewNets(portsBoxes, readPublished)},
			{Title: "the two switches", Read: viewNets(nil, readHairpinSwitches)},
			{Title: "the neighbour's connection, as conntrack remembers it", Read: viewNets(nil, readHairpinFlow)},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("a neighbour reaches the published port", "db asks "+byDNAT, evidence.Equals(greeting(web))),
			evidence.Becomes("the container reaches its own published port", "web asks "+byDNAT, evidence.Equals(greeting(web))),
			evidence.Becomes("and so does 127.0.0.1 of the host", "host asks 127.0.0.1:8080", evidence.Equals(greeting(web))),
			evidence.AlwaysIs("the outside reaches it as before", "outside asks "+byDNAT, evidence.Equals(greeting(web))),
			evidence.Becomes("the bridge may send a frame back out of the port that it came in by", "hairpin of the container's bridge port", evidence.Equals("on")),
			evidence.Becomes("packets from 127.0.0.1 may leave for the bridge", "route_localnet", evidence.Equals("1")),
			evidence.Becomes("the neighbour asked the host", "the way there, as the neighbour sent it", evidence.Contains("to "+byDNAT)),
			evidence.Becomes("the container answers to the gateway, which sends the answer on", "the answer, as the container sends it", evidence.Contains("to "+webGateway+":")),
		},
	}
}

func publishWithHairpin(_ context.Context, _ *bench.Bench, n nets) error {
	return netdemo.Hairpin(n[theHost], webBridge, webCable().name, prefix(webSubnet), port8080, addr(webAddress))
}

func portsAutoStep() bench.Step {
	return bench.Step{
		Name: "auto-port", Inside: auto,
		Reproduces: []string{"net-auto-port"},
		Do:         publishAnyPort,
		ByHand:     bench.ByHand{Lines: bench.Lines(autoByHand()...), Tools: []bench.Tool{bench.IP, bench.Sleep, bench.Nsenter, bench.Mkdir, bench.Busybox, bench.Grep, bench.Sysctl, bench.Nft}},
		Look: []bench.View{
			{Title: "what `port` lists", Read: viewNets([]string{auto, world}, readAutoPorts)},
		},
		Draw: drawNetworks(theHost, web, db, auto, world),
		Expect: []evidence.Expectation{
			evidence.Becomes("port 80 got a host port that nobody asked for", "80/tcp", evidence.Present()),
			evidence.Differ("port 81 got one of its own", "80/tcp", "81/tcp"),
			inRange("both are from the range that the kernel takes its own choices from", "80/tcp", "81/tcp"),
			evidence.Becomes("the outside finds port 80 of the container there", "outside asks the port of 80/tcp", evidence.Equals(greeting(auto))),
			evidence.Becomes("and port 81 at the other", "outside asks the port of 81/tcp", evidence.Equals(greeting(auto))),
		},
	}
}

// publishAnyPort makes a network with one container that publishes two ports,
// as `docker run --publish 80 --publish 81` does: the controller chooses.
func publishAnyPort(ctx context.Context, b *bench.Bench) error {
	if err := startContainers(ctx, b, auto); err != nil {
		return err
	}
	return inNets(b, func(n nets) error {
		c, err := netdemo.OpenController(b.Path("state"), n[theHost])
		if err != nil {
			return err
		}
		network, err := c.CreateNetwork(netdemo.NetworkSpec{Name: auto, Bridge: "br-auto", Subnet: prefix("172.19.0.0/16"), Proxy: true})
		if err != nil {
			return err
		}
		ports := []netdemo.PortSpec{{Proto: netdemo.TCP, ContainerPort: 80}, {Proto: netdemo.TCP, ContainerPort: 81}}
		e, err := network.Connect(&netdemo.Sandbox{ID: auto, NS: n[auto]}, netdemo.EndpointSpec{Name: auto, Ports: ports})
		if err != nil {
			return err
		}
		for i, p := range e.Joined.Published {
			if err := b.Keep(fmt.Sprintf("auto-proxy-%d", i), proxySubject{*p.Proxy}); err != nil {
				return err
			}
			if err := startWebServer(ctx, b, auto, int(p.ContainerPort)); err != nil {
				return err
			}
		}
		return nil
	}, auto, theHost)
}

// autoByHand takes the first free ports of the kernel's range.
func autoByHand() []string {
	c := cable{name: "veth-auto", peer: "eth0", master: "br-auto", far: prefix("172.19.0.2/16"), defaultRoute: addr("172.19.0.1")}
	lines := slices.Concat(netnsByHand(auto), routerByHand("br-auto", "172.19.0.1/16"), layByHand("", auto, c),
		webServerByHand(auto, 80), webServerByHand(auto, 81),
		[]string{
			"nft add table ip auto",
			"nft add chain ip auto publish",
			"nft 'add chain ip auto prerouting { type nat hook prerouting priority dstnat; }'",
			"nft add rule ip auto prerouting fib daddr type local jump publish",
			"set -- $(cat /proc/sys/net/ipv4/ip_local_port_range); port=$1",
		})
	for _, containerPort := range []int{80, 81} {
		lines = append(lines,
			"while grep -q \":$(printf %04X $port) \" /proc/net/tcp /proc/net/tcp6; do port=$((port+1)); done",
			fmt.Sprintf("nft add rule ip auto publish tcp dport $port counter dnat to 172.19.0.2:%d; port=$((port+1))", containerPort))
	}
	return lines
}
