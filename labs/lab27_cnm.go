package labs

import (
	"context"
	"net/netip"
	"os"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
	"cutaway/nsdemo"
)

// cnmLab is lab 27: Docker's words for networks, and the kernel thing behind
// each of them.
func cnmLab() bench.Lab {
	return bench.Lab{ID: "27", Name: "cnm", Needs: needs("ns.net", "ns.mnt", "net.veth", "net.bridge", "net.forward.netns", "nft.nat", "nft.masq", "nft.ct", "nft.fib"),
		Steps: []bench.Step{
			cnmControllerStep(),
			cnmNetworkStep(),
			cnmEndpointStep(),
			cnmSandboxStep(),
			cnmJoinStep(),
			cnmIsolateStep(),
			cnmDNSStep(),
			cnmLinkStep(),
			cnmConnectStep(),
			cnmDisconnectStep(),
			cnmExplainStep(),
		}}
}

// Two networks, and who is on them. Subnets are those that Docker takes first.
const (
	far        = "far" // a container on the other network
	front      = "front"
	back       = "back"
	frontLink  = "br-front"
	frontRange = "172.17.0.0/16"
	cnmWeb     = "172.17.0.2"
	cnmDB      = "172.17.0.3"
	cnmFar     = "172.18.0.2"
	cnmWebBack = "172.18.0.3" // of web, once it is on the second network
)

// cnmNone is why most steps have no shell lines.
const cnmNone = "these objects are records of the controller, which no other program keeps; the kernel pieces alone are made by hand in the labs on bridges and ports"

// controller opens the records of this lab. They are files, so each step opens
// them anew.
func controller(b *bench.Bench, n nets) (*netdemo.Controller, error) {
	return netdemo.OpenController(b.Path("state"), n[theHost])
}

// cnmLook are the two sides of every object: what the controller wrote down,
// and what there is of it in the kernel.
func cnmLook() []bench.View {
	return []bench.View{
		{Title: "what the controller has written down", Read: readRecords},
		{Title: "what the kernel has", Read: viewNets([]string{web}, readKernelSide)},
	}
}

func cnmControllerStep() bench.Step {
	return bench.Step{
		Name: "controller", Reproduces: []string{"net-cnm"},
		Do: withNets(func(_ context.Context, b *bench.Bench, n nets) error {
			_, err := controller(b, n)
			return err
		}),
		ByHand: bench.ByHand{None: cnmNone},
		Look:   cnmLook(),
		Expect: []evidence.Expectation{
			evidence.Becomes("the controller is a folder for records", "controller", evidence.Present()),
			evidence.AlwaysIs("the kernel has nothing of it: no bridge", "bridge", evidence.Gone()),
			evidence.AlwaysIs("and no rules", "rules that name the bridge", evidence.Equals("0")),
		},
	}
}

func cnmNetworkStep() bench.Step {
	return bench.Step{
		Name: "network", Reproduces: []string{"net-cnm"},
		Do: withNets(func(_ context.Context, b *bench.Bench, n nets) error {
			return createNetwork(b, n, netdemo.NetworkSpec{Name: front, Bridge: frontLink, Subnet: prefix(frontRange)})
		}),
		ByHand: bench.ByHand{None: cnmNone},
		Look:   cnmLook(),
		Draw:   drawNetworks(theHost),
		Expect: []evidence.Expectation{
			evidence.Becomes("a network is a record with a subnet", "network front", evidence.Contains(frontRange)),
			evidence.Becomes("and a bridge in the kernel, whose address is the gateway", "bridge", evidence.Equals("UP, 172.17.0.1/16")),
			evidence.Becomes("and rules that let its packets out and nobody in", "rules that name the bridge", evidence.AtLeast(3)),
			evidence.Becomes("the gateway's address is handed out: nobody else can get it", "lease 172.17.0.1", evidence.Contains("gateway")),
		},
	}
}

func createNetwork(b *bench.Bench, n nets, spec netdemo.NetworkSpec) error {
	c, err := controller(b, n)
	if err != nil {
		return err
	}
	_, err = c.CreateNetwork(spec)
	return err
}

func cnmEndpointStep() bench.Step {
	return bench.Step{
		Name: "endpoint", Reproduces: []string{"net-cnm"},
		Do: withNets(func(_ context.Context, b *bench.Bench, n nets) error {
			network, err := network(b, n, front)
			if err != nil {
				return err
			}
			_, err = network.CreateEndpoint(netdemo.EndpointSpec{Name: web})
			return err
		}),
		ByHand: bench.ByHand{None: cnmNone},
		Look:   cnmLook(),
		Expect: []evidence.Expectation{
			evidence.Becomes("an endpoint is a record of a name, an address and a MAC", "endpoint web", evidence.Contains(cnmWeb)),
			evidence.Becomes("its address is taken from the subnet", "lease "+cnmWeb, evidence.Contains(web)),
			evidence.AlwaysIs("the bridge has no port for it yet", "ports of the bridge", evidence.Equals("none")),
		},
	}
}

// network finds a network that an earlier step made.
func network(b *bench.Bench, n nets, name string) (*netdemo.Network, error) {
	c, err := controller(b, n)
	if err != nil {
		return nil, err
	}
	return c.Network(name)
}

func cnmSandboxStep() bench.Step {
	return bench.Step{
		Name: "sandbox", Reproduces: []string{"net-cnm"}, Inside: web,
		Do: func(ctx context.Context, b *bench.Bench) error {
			return startContainer(ctx, b, web, nsdemo.Mnt, nsdemo.Net)
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"unshare --mount --net sleep 1000 & echo $! > web.pid", waitUntilRuns(web, "sleep"),
				"ip netns attach "+web+" $(cat web.pid)", onlyIPv4ByHand(web)),
			Tools: []bench.Tool{bench.Unshare, bench.Sleep, bench.IP},
		},
		Look: cnmLook(),
		Expect: []evidence.Expectation{
			evidence.Becomes("a sandbox is a net namespace", "namespace of the sandbox", evidence.Matches(`^\d+$`)),
			evidence.Becomes("there is nothing in it but its loopback", "links in the sandbox", evidence.Equals("lo")),
			evidence.AlwaysIs("no record joins it to a network", "sandbox web on front", evidence.Gone()),
		},
	}
}

func cnmJoinStep() bench.Step {
	return bench.Step{
		Name: "join", Reproduces: []string{"net-cnm"}, Inside: web,
		Do: withNets(func(_ context.Context, b *bench.Bench, n nets) error {
			network, err := network(b, n, front)
			if err != nil {
				return err
			}
			e, err := network.Endpoint(web)
			if err != nil {
				return err
			}
			return e.Join(&netdemo.Sandbox{ID: web, NS: n[web]})
		}, web),
		ByHand: bench.ByHand{None: cnmNone},
		Look:   cnmLook(),
		Draw:   drawNetworks(theHost, web),
		Expect: []evidence.Expectation{
			evidence.Becomes("joined, the endpoint has an end in the sandbox", "eth0 in the sandbox", evidence.Equals("UP, "+cnmWeb+"/16")),
			evidence.Becomes("with the MAC of the record", "MAC of eth0", evidence.Equals("02:42:ac:11:00:02")),
			evidence.Becomes("and an end on the bridge", "ports of the bridge", evidence.Matches(`^veth[0-9a-f]+$`)),
			evidence.Same("the two are the ends of one veth pair", "ports of the bridge", "other end of eth0"),
			evidence.Becomes("the way out is the bridge", "default route of the sandbox", evidence.Equals("172.17.0.1")),
			evidence.Becomes("a record says which sandbox is on which network", "sandbox web on front", evidence.Equals(web)),
		},
	}
}

func cnmIsolateStep() bench.Step {
	return bench.Step{
		Name: "isolate", Reproduces: []string{"net-isolate"}, Inside: web,
		Do:     populate,
		ByHand: bench.ByHand{None: cnmNone},
		Look: []bench.View{
			{Title: "who reaches whom by address", Read: viewNets([]string{web, db, far}, func(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
				return []evidence.Fact{askedOf(n, web, db, cnmDB), askedInVain(n, web, cnmFar), askedInVain(n, far, cnmDB)}, nil
			})},
			{Title: "who sees to it", Read: viewNets(nil, readDropped)},
		},
		Draw: drawNetworks(theHost, web, db, far),
		Expect: []evidence.Expectation{
			evidence.Becomes("on one network, containers reach each other", "web asks "+cnmDB, evidence.Equals(greeting(db))),
			evidence.Becomes("from one network to another, nobody answers", "web asks "+cnmFar, evidence.Equals("no answer")),
			evidence.Becomes("nor the other way round", "far asks "+cnmDB, evidence.Equals("no answer")),
			evidence.Becomes("a rule on the host drops what goes from bridge to bridge", "packets dropped between bridges", evidence.AtLeast(1)),
		},
	}
}

// populate makes a second network, and a container on each.
func populate(ctx context.Context, b *bench.Bench) error {
	if err := startContainers(ctx, b, db, far); err != nil {
		return err
	}
	err := inNets(b, func(n nets) error {
		if err := createNetwork(b, n, netdemo.NetworkSpec{Name: back, Bridge: "br-back", Subnet: prefix("172.18.0.0/16")}); err != nil {
			return err
		}
		if err := join(b, n, front, db); err != nil {
			return err
		}
		return join(b, n, back, far)
	}, theHost, db, far)
	for _, name := range []string{db, far} {
		if err == nil {
			err = startWebServer(ctx, b, name, 80)
		}
	}
	return err
}

// join makes an endpoint for a container and joins it, as `docker network
// connect` does.
func join(b *bench.Bench, n nets, to, name string) error {
	network, err := network(b, n, to)
	if err != nil {
		return err
	}
	_, err = network.Connect(&netdemo.Sandbox{ID: name, NS: n[name]}, netdemo.EndpointSpec{Name: name})
	return err
}

func cnmDNSStep() bench.Step {
	return bench.Step{
		Name: "dns", Reproduces: []string{"net-dns", "net-isolate"}, Inside: web,
		Do:     startResolvers,
		ByHand: bench.ByHand{None: "the resolver is part of the engine: no other program knows the names of the controller's networks"},
		Look: []bench.View{
			{Title: "the resolver that the container asks", Read: viewNets([]string{web}, readResolver)},
			{Title: "its answers", Read: viewNets([]string{web, far}, readNames)},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container asks at 127.0.0.11, an address of its own loopback", "nameserver", evidence.Equals(netdemo.ResolverAddress)),
			evidence.Becomes("a rule in the container's namespace leads port 53 to the resolver's port", "rule in the container", evidence.Contains("udp dport 53")),
			evidence.Differ("the process that answers is not in the container", "namespace of the process that answers", "namespace of the container"),
			evidence.Becomes("a name on the same network has an address", "web looks up db", evidence.Equals("NOERROR "+cnmDB)),
			evidence.Becomes("and is reached by it", "web asks db by name", evidence.Equals(greeting(db))),
			evidence.Becomes("a name on another network does not exist", "web looks up far", evidence.Equals("NXDOMAIN")),
			evidence.Becomes("nor does this one exist over there", "far looks up db", evidence.Equals("NXDOMAIN")),
		},
	}
}

func cnmLinkStep() bench.Step {
	return bench.Step{
		Name: "link", Reproduces: []string{"net-dns"}, Inside: web,
		Do: writeLink,
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"mkdir -p "+etcOfWeb,
				"echo 127.0.0.1 localhost > "+etcOfWeb+"/hosts",
				"echo "+cnmDB+" database >> "+etcOfWeb+"/hosts"),
			Tools: []bench.Tool{bench.Mkdir},
		},
		Look: []bench.View{{Title: "a link is a line in a file", Read: viewNets([]string{web, db}, readLink)}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the container's hosts file has the other one under a name of its own choice", "database in /etc/hosts", evidence.Equals(cnmDB)),
			evidence.Becomes("by that address it is reached", "web asks for the address of database", evidence.Equals(greeting(db))),
			evidence.AlwaysIs("the resolver knows nothing of that name", "web looks up database", evidence.Equals("NXDOMAIN")),
			evidence.AlwaysIs("the other container has no such line: a link goes one way", "database in /etc/hosts of db", evidence.Gone()),
		},
	}
}

// writeLink writes web's hosts file from outside, as the engine does.
func writeLink(_ context.Context, b *bench.Bench) error {
	if err := os.MkdirAll(b.Path(etcOfWeb), 0o755); err != nil {
		return err
	}
	text := netdemo.HostsFile(web, addr(cnmWeb), map[string]netip.Addr{"database": addr(cnmDB)})
	return os.WriteFile(b.Path(etcOfWeb, "hosts"), []byte(text), 0o644)
}

// cnmReach is what changes when a container is on two networks.
func cnmReach() []bench.View {
	return []bench.View{
		{Title: "the sandbox", Read: viewAll([]string{web}, readSandbox)},
		{Title: "who reaches whom now", Read: viewNets([]string{web, db, far}, func(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
			return []evidence.Fact{
				asked(n, web, cnmDB), asked(n, web, cnmFar), askedInVain(n, db, cnmFar),
				looked(n, web, far), looked(n, far, web),
			}, nil
		})},
	}
}

func cnmConnectStep() bench.Step {
	return bench.Step{
		Name: "connect", Reproduces: []string{"net-connect"}, Inside: web,
		Do:     withNets(func(_ context.Context, b *bench.Bench, n nets) error { return join(b, n, back, web) }, web),
		ByHand: bench.ByHand{None: cnmNone},
		Look:   cnmReach(),
		Draw:   drawNetworks(theHost, web, db, far),
		Expect: []evidence.Expectation{
			evidence.Becomes("the running container has a second interface, in the second subnet", "eth1", evidence.Equals("UP, "+cnmWebBack+"/16")),
			evidence.AlwaysIs("the first is as it was", "eth0", evidence.Equals("UP, "+cnmWeb+"/16")),
			evidence.Becomes("it reaches the container on the second network", "web asks "+cnmFar, evidence.Equals(greeting(far))),
			evidence.Becomes("and by name: the same resolver now answers for both networks", "web looks up far", evidence.Equals("NOERROR "+cnmFar)),
			evidence.Becomes("over there it has a name too", "far looks up web", evidence.Equals("NOERROR "+cnmWebBack)),
			evidence.AlwaysIs("those on one network alone are as far apart as before", "db asks "+cnmFar, evidence.Equals("no answer")),
		},
	}
}

func cnmDisconnectStep() bench.Step {
	return bench.Step{
		Name: "disconnect", Reproduces: []string{"net-connect"}, Inside: web,
		Do: withNets(func(_ context.Context, b *bench.Bench, n nets) error {
			network, err := network(b, n, back)
			if err != nil {
				return err
			}
			e, err := network.Endpoint(web)
			if err != nil {
				return err
			}
			return e.Disconnect(&netdemo.Sandbox{ID: web, NS: n[web]})
		}, web),
		ByHand: bench.ByHand{None: cnmNone},
		Look:   cnmReach(),
		Expect: []evidence.Expectation{
			evidence.Becomes("the second interface is gone", "eth1", evidence.Gone()),
			evidence.Becomes("and with it the way to the second network", "web asks "+cnmFar, evidence.Equals("no answer")),
			evidence.Becomes("the name is gone at once", "web looks up far", evidence.Equals("NXDOMAIN")),
			evidence.Becomes("on both sides", "far looks up web", evidence.Equals("NXDOMAIN")),
			evidence.AlwaysIs("the first network never noticed", "web asks "+cnmDB, evidence.Equals(greeting(db))),
		},
	}
}

func cnmExplainStep() bench.Step {
	return bench.Step{
		Name: "explain", Inside: web,
		Do: withNets(func(_ context.Context, _ *bench.Bench, n nets) error { return netdemo.SetDown(n[theHost], frontLink) }),
		ByHand: bench.ByHand{
			Lines: bench.Lines("ip link set " + frontLink + " down"),
			Tools: []bench.Tool{bench.IP},
		},
		Look: []bench.View{
			{Title: "what the caller sees", Read: viewNets([]string{web}, func(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
				return []evidence.Fact{asked(n, web, cnmDB)}, nil
			})},
			{Title: "the way, walked piece by piece", Read: viewAll([]string{web, db}, readDiagnosis)},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the caller only sees that nothing comes back", "web asks "+cnmDB, evidence.OneOf("no answer", "host unreachable")),
			evidence.Becomes("walking the way finds the broken piece", "broken piece", evidence.Contains(frontLink+" is down")),
			evidence.Becomes("and what to do about it", "to do", evidence.Contains("ip link set "+frontLink+" up")),
			evidence.AlwaysIs("before it, the caller's own link was looked at and is in order", "link in from", evidence.Equals("ok")),
		},
	}
}
