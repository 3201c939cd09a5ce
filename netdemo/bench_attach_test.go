package netdemo

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"cutaway/internal/needs"
)

// BenchmarkAttach attaches and detaches an endpoint of a bridge network: by this package, by the CNI
// bridge plugin, and by ip commands as people type them. The rounds take turns, so that what else the
// machine does falls on all alike. Reported: milliseconds of each, and how many times faster ours is.
func BenchmarkAttach(b *testing.B) {
	needs.Program(b, "ip", "iproute2")
	needs.File(b, "/usr/lib/cni/bridge", "package containernetworking-plugins")
	dir := inMemory(b)
	c, err := OpenController(dir+"/ours", newHost(b))
	must(b, err)
	n := newNetwork(b, c, NetworkSpec{Name: "bench"})
	cniHost, ipHost := newHost(b), newHost(b)
	config := cniConfig(dir+"/cni", false)
	must(b, CreateBridge(ipHost, BridgeSpec{Name: "br0"}))
	var ours, cni, byHand [2]time.Duration
	for i := 0; b.Loop(); i++ {
		sb := newSandbox(b, fmt.Sprintf("s%d", i))
		quiet()
		attachOurs(b, n, sb, &ours)
		quiet()
		attachCNI(b, CNI{Dir: "/usr/lib/cni", Config: config, Container: sb.ID, Interface: "eth0"}, cniHost, sb.NS, &cni)
		quiet()
		attachByHand(b, ipHost, sb.NS, &byHand)
		sb.NS.Close()
	}
	report := func(name string, took [2]time.Duration) {
		b.ReportMetric(float64(took[0].Microseconds())/float64(b.N)/1000, name+"-attach-ms")
		b.ReportMetric(float64(took[1].Microseconds())/float64(b.N)/1000, name+"-detach-ms")
	}
	report("ours", ours)
	report("cni", cni)
	report("ip", byHand)
	b.ReportMetric(float64(cni[0]+cni[1])/float64(ours[0]+ours[1]), "x-faster-than-cni")
	b.ReportMetric(float64(byHand[0]+byHand[1])/float64(ours[0]+ours[1]), "x-faster-than-ip")
}

// inMemory is a folder on a tmpfs, where network state lives (/run); ours and the plugin's both.
func inMemory(b *testing.B) string {
	dir, err := os.MkdirTemp("/dev/shm", "cutaway-bench-")
	if err != nil {
		needs.Missing(b, "a tmpfs at /dev/shm")
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// quiet lets the kernel finish taking down what the round before left: it holds the lock that all
// network changes need, and whoever comes next would pay for it.
func quiet() { time.Sleep(60 * time.Millisecond) }

// stopwatch adds the time since start.
func stopwatch(sum *time.Duration, act func()) {
	start := time.Now()
	act()
	*sum += time.Since(start)
}

func attachOurs(b *testing.B, n *Network, sb *Sandbox, took *[2]time.Duration) {
	var e *Endpoint
	stopwatch(&took[0], func() {
		var err error
		e, err = n.Connect(sb, EndpointSpec{Name: sb.ID})
		must(b, err)
	})
	stopwatch(&took[1], func() { must(b, e.Disconnect(sb)) })
}

func attachCNI(b *testing.B, c CNI, host, sandbox *Namespace, took *[2]time.Duration) {
	stopwatch(&took[0], func() {
		_, err := c.Add(context.Background(), host, sandbox)
		must(b, err)
	})
	stopwatch(&took[1], func() { must(b, c.Del(context.Background(), host, sandbox)) })
}

// attachByHand is the usual list of commands; the sandbox's own run inside it, without "ip netns".
func attachByHand(b *testing.B, host, sandbox *Namespace, took *[2]time.Duration) {
	stopwatch(&took[0], func() {
		run(b, host, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "p0")
		run(b, host, "ip", "link", "set", "v0", "master", "br0", "up")
		run(b, host, "ip", "link", "set", "p0", "netns", sandbox.Path())
		run(b, sandbox, "ip", "link", "set", "p0", "name", "eth0", "address", "02:42:0a:00:00:02")
		run(b, sandbox, "ip", "addr", "add", "10.0.0.2/16", "dev", "eth0")
		run(b, sandbox, "ip", "link", "set", "eth0", "up")
		run(b, sandbox, "ip", "route", "add", "default", "via", "10.0.0.1")
	})
	stopwatch(&took[1], func() { run(b, host, "ip", "link", "del", "v0") })
}
