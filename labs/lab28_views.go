package labs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
)

// pinged is pingFact for a namespace that may not exist yet.
func pinged(n nets, from, to string) evidence.Fact {
	if n[from] == nil {
		return evidence.F("ping "+to+" from "+from, entering(from)+"ping -c 1 "+to, evidence.Absent)
	}
	return pingFact(n[from], from, to)
}

func readOverlayPing(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	return []evidence.Fact{pinged(n, cont1, over2)}, nil
}

// readTunnel reads the vxlan links and what else is on host1's bridge.
func readTunnel(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	for _, s := range sides {
		link, err := netdemo.LinkByName(n[s.host], tunnel)
		value := evidence.Absent
		if err == nil && link.VXLAN != nil {
			value = fmt.Sprintf("vni %d, UDP port %d, local %s, MTU %d", link.VXLAN.VNI, link.VXLAN.Port, link.VXLAN.Local, link.MTU)
		}
		facts = append(facts, evidence.F(tunnel+" on "+s.host, "ip -n "+s.host+" -d link show "+tunnel, value))
	}
	ports, err := portNames(n[host1], overBridge)
	return append(facts, evidence.F("ports of br-over on host1", "ip -n host1 link show master br-over", ports)), err
}

// readRemotes reads the tunnel's own forwarding table: a MAC, and the host to
// which frames for it go. The MAC of zeroes stands for all that has no entry.
func readRemotes(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	table, err := netdemo.ForwardingTable(n[host1])
	if err != nil {
		return nil, err
	}
	names := map[string]string{netdemo.MACFor(addr(over2)).String(): "MAC of c2", "00:00:00:00:00:00": "MAC of everybody"}
	var facts []evidence.Fact
	for _, e := range table {
		if name := names[e.MAC.String()]; name != "" && e.Remote.IsValid() {
			facts = append(facts, evidence.F(name, "bridge -n host1 fdb show dev "+tunnel, fmt.Sprintf("%s dst %s %s", e.MAC, e.Remote, e.State)))
		}
	}
	return facts, nil
}

// readUnderlayFrames captures what goes over the wire between the hosts while
// one container pings the other, and takes the echo request apart.
func readUnderlayFrames(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	capture, err := netdemo.StartCapture(n[host1], underlay().name)
	if err != nil {
		return nil, err
	}
	defer capture.Close()
	if _, err := netdemo.Ping(n[cont1], addr(over2), patience()); err != nil {
		return nil, nil // nobody answers, so there is nothing to take apart
	}
	frames, err := capture.Drain(20 * time.Millisecond)
	for _, f := range frames {
		p := netdemo.Decode(f.Data)
		if p.VXLAN != nil && p.Inner.ICMP != nil && p.Inner.IP.Src == addr(over1) {
			return takeApart(f, p), err
		}
	}
	return nil, err
}

func takeApart(f netdemo.Frame, p netdemo.Packet) []evidence.Fact {
	from := enterNet(host1) + " tcpdump -nn -e -i under0 udp port 4789"
	return []evidence.Fact{
		evidence.F("frame", from, p.String()),
		evidence.F("outer addresses", from, p.IP.Src.String()+" to "+p.IP.Dst.String()),
		evidence.F("outer UDP port", from, fmt.Sprint(p.UDP.Dst)),
		evidence.F("VXLAN number", from, fmt.Sprint(p.VXLAN.VNI)),
		evidence.F("inner MACs", from, p.Inner.Ethernet.Src.String()+" to "+p.Inner.Ethernet.Dst.String()),
		evidence.F("inner addresses", from, p.Inner.IP.Src.String()+" to "+p.Inner.IP.Dst.String()),
		evidence.F("bytes around the inner packet", from, fmt.Sprint(p.IP.Length-p.Inner.IP.Length)),
	}
}

func readMTUs(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	for _, at := range []struct{ ns, link, name string }{
		{cont1, "eth0", "MTU of eth0 in c1"}, {host1, tunnel, "MTU of vx42 on host1"}, {host1, underlay().name, "MTU of under0 on host1"},
	} {
		link, err := netdemo.LinkByName(n[at.ns], at.link)
		if err != nil {
			return facts, err
		}
		facts = append(facts, evidence.F(at.name, "ip -n "+at.ns+" link show "+at.link, fmt.Sprint(link.MTU)))
	}
	return facts, nil
}

func readSizes(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	for _, size := range []int{1450, 1500} {
		words, err := sendWhole(n[cont1], n[cont2], size)
		if err != nil {
			return facts, err
		}
		from := fmt.Sprintf("%s ping -M do -s %d %s", enterNet(cont1), size-28, over2)
		facts = append(facts, evidence.F(fmt.Sprintf("packet of %d bytes", size), from, words))
	}
	return facts, nil
}

// sendWhole sends a UDP datagram that makes an IP packet of the size, with the
// order not to cut it up (ip(7), IP_PMTUDISC_DO), and sees what becomes of it.
func sendWhole(from, to *netdemo.Namespace, size int) (string, error) {
	var receiver *net.UDPConn
	err := to.Do(func() (err error) {
		receiver, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(over2)})
		return err
	})
	if err != nil {
		return "", err
	}
	defer receiver.Close()
	var sender *net.UDPConn
	err = from.Do(func() (err error) {
		sender, err = net.DialUDP("udp4", nil, receiver.LocalAddr().(*net.UDPAddr))
		return err
	})
	if err != nil {
		return "", err
	}
	defer sender.Close()
	if err := forbidCutting(sender); err != nil {
		return "", err
	}
	if _, err := sender.Write(make([]byte, size-28)); err != nil { // 20 bytes of IP header, 8 of UDP
		return "refused: " + answer(err), nil
	}
	receiver.SetReadDeadline(time.Now().Add(noPatience))
	if _, err := receiver.Read(make([]byte, size)); err != nil {
		return "lost", nil
	}
	return "arrives", nil
}

func forbidCutting(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
	})
	return errors.Join(err, setErr)
}

// pluginAdd makes a sandbox and has the plugin attach it.
func pluginAdd(ctx context.Context, b *bench.Bench) error {
	if err := findPlugin(); err != nil {
		return err
	}
	if err := startContainers(ctx, b, pod); err != nil {
		return err
	}
	if err := os.WriteFile(b.Path("net.conf"), []byte(pluginConfig("state-of-cni")), 0o644); err != nil {
		return err
	}
	return withPlugin(b, func(c netdemo.CNI, n nets) error {
		result, err := c.Add(ctx, n[theHost], n[pod])
		if err != nil {
			return err
		}
		return os.WriteFile(b.Path("result.json"), result.Raw, 0o644)
	})
}

// findPlugin says how to get the plugin where it is missing.
func findPlugin() error {
	if _, err := os.Stat(pluginTool.Program); err != nil {
		return &evidence.CannotTest{Reason: "the CNI plugin " + pluginTool.Program + " is not installed", WayOut: "apt-get install " + pluginTool.Package}
	}
	return nil
}

// withPlugin calls the plugin with the configuration that was written.
func withPlugin(b *bench.Bench, call func(netdemo.CNI, nets) error) error {
	if err := findPlugin(); err != nil {
		return err
	}
	config, err := os.ReadFile(b.Path("net.conf"))
	if err != nil {
		return err
	}
	return inNets(b, func(n nets) error {
		return call(netdemo.CNI{Dir: pluginDir, Config: config, Container: "cutaway-pod", Interface: "eth0"}, n)
	}, theHost, pod)
}

// readPluginFiles reads what the plugin was given, what it printed, and the
// file in which the address plugin keeps who has an address.
func readPluginFiles(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	var config struct {
		Type, Bridge string
		IPAM         struct{ Type, Subnet string }
	}
	if !readJSON(b.Path("net.conf"), &config) {
		return nil, nil
	}
	facts := []evidence.Fact{
		evidence.F("type", "cat net.conf", config.Type),
		evidence.F("bridge in the configuration", "cat net.conf", config.Bridge),
		evidence.F("addresses from", "cat net.conf", config.IPAM.Type+" "+config.IPAM.Subnet),
		lease(b),
	}
	var result netdemo.CNIResult
	if !readJSON(b.Path("result.json"), &result) || len(result.IPs) == 0 {
		return facts, nil
	}
	facts = append(facts,
		evidence.F("address in the result", "cat result.json", result.IPs[0].Address),
		evidence.F("gateway in the result", "cat result.json", result.IPs[0].Gateway))
	for _, i := range result.Interfaces {
		if i.Sandbox != "" {
			facts = append(facts, evidence.F("MAC in the result", "cat result.json", i.Mac))
		}
	}
	return facts, nil
}

func readJSON(path string, into any) bool {
	text, err := os.ReadFile(path)
	return err == nil && json.Unmarshal(text, into) == nil
}

func lease(b *bench.Bench) evidence.Fact {
	path := "state-of-cni/cutaway/" + podAddress
	text, err := os.ReadFile(b.Path(path))
	if err != nil {
		return evidence.F("lease of "+podAddress, "cat "+path, evidence.Absent)
	}
	return evidence.F("lease of "+podAddress, "cat "+path, strings.Join(strings.Fields(string(text)), " "))
}

// readPod reads the two ends that the plugin made.
func readPod(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	bridge, err := stateWords(n[theHost], "cni0")
	if err != nil {
		return nil, err
	}
	ports, err := portNames(n[theHost], "cni0")
	facts := []evidence.Fact{
		evidence.F("cni0 on the host", "ip address show dev cni0", bridge),
		evidence.F("ports of cni0", "ip link show master cni0", ports),
	}
	if n[pod] == nil || err != nil {
		return facts, err
	}
	eth0, err := stateWords(n[pod], "eth0")
	facts = append(facts, evidence.F("eth0 in the sandbox", "ip -n pod address show dev eth0", eth0))
	if link, linkErr := netdemo.LinkByName(n[pod], "eth0"); linkErr == nil {
		facts = append(facts, evidence.F("MAC of eth0", "ip -n pod link show dev eth0", link.MAC.String()), pinged(n, theHost, podAddress))
	}
	return facts, err
}
