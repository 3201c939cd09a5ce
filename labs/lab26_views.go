package labs

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
)

func readPublished(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	return []evidence.Fact{
		asked(n, world, byDNAT), asked(n, theHost, byDNAT), asked(n, theHost, "127.0.0.1:8080"),
		asked(n, db, byDNAT), asked(n, web, byDNAT),
	}, nil
}

// readPublishRule finds the rule in whatever table it stands.
func readPublishRule(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	rules, err := netdemo.Rules(n[theHost])
	for _, r := range rules {
		if strings.Contains(r.Text, "tcp dport 8080 ") && strings.Contains(r.Text, "dnat") {
			from := fmt.Sprintf("nft list chain %s %s %s", r.Family, r.Table, r.Chain)
			return []evidence.Fact{evidence.F("rule", from, r.Text), evidence.F("packets counted", from, fmt.Sprint(r.Packets))}, err
		}
	}
	return nil, err
}

// readOutsideFlow finds the newest connection that came from outside to 8080.
func readOutsideFlow(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	return readFlow(n[theHost], "as outside sent it", func(f netdemo.Flow) bool {
		return f.Origin.Src.Addr() == addr(worldAddr) && f.Origin.Dst.String() == byDNAT && f.DNAT()
	})
}

func readHairpinFlow(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	return readFlow(n[theHost], "as the neighbour sent it", func(f netdemo.Flow) bool {
		return f.Origin.Src.Addr() == dbCable().far.Addr() && f.Origin.Dst.String() == byDNAT && f.DNAT()
	})
}

// readFlow shows the two directions of a connection. Where they are not mirror
// images, an address was translated.
func readFlow(host *netdemo.Namespace, who string, pick func(netdemo.Flow) bool) ([]evidence.Fact, error) {
	flows, err := netdemo.Flows(host)
	for _, f := range flows {
		if pick(f) {
			return []evidence.Fact{
				evidence.F("the way there, "+who, "conntrack -L", f.Origin.Src.String()+" to "+f.Origin.Dst.String()),
				evidence.F("the answer, as the container sends it", "conntrack -L", f.Reply.Src.String()+" to "+f.Reply.Dst.String()),
			}, err
		}
	}
	return nil, err
}

// readProxy reads the process, and sends one request through it.
func readProxy(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid("proxy")
	if err != nil {
		return nil, err
	}
	host, err := openNet(b, theHost)
	if err != nil {
		return nil, err
	}
	defer host.Close()
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{
		evidence.F("arguments", fmt.Sprintf("/proc/%d/cmdline", pid), strings.Join(strings.Split(strings.Trim(string(args), "\x00"), "\x00"), " ")),
		evidence.F("listening at", fmt.Sprintf("/proc/net/tcp, /proc/%d/fd", pid), listensAt(host, pid, 8081)),
	}
	through, err := bytesThrough(host, pid)
	return append(facts, evidence.F("bytes through it for one request", fmt.Sprintf("wchar of /proc/%d/io, after - before", pid), through)), err
}

// listensAt finds the listening socket of a port, and that it is the process's.
func listensAt(host *netdemo.Namespace, pid int, port uint16) string {
	sockets, err := netdemo.Sockets(host)
	if err != nil {
		return evidence.Absent
	}
	for _, s := range sockets {
		if s.State != "LISTEN" || s.Local.Port() != port {
			continue
		}
		if owner, err := netdemo.SocketOwner(s.Inode); err == nil && owner.Pid == pid {
			return s.Local.String()
		}
	}
	return evidence.Absent
}

// bytesThrough counts what the process wrote while one request was served. A
// proxy that forks for each connection (socat) has its children's bytes added
// when it reaps them, hence the patience.
func bytesThrough(host *netdemo.Namespace, pid int) (string, error) {
	before, err := written(pid)
	if err != nil {
		return evidence.Absent, err
	}
	if _, err := get(host, "127.0.0.1:8081", webPatience); err != nil {
		return evidence.Absent, nil
	}
	after := before
	for deadline := time.Now().Add(webPatience); after-before < int64(len(greeting(web))) && time.Now().Before(deadline); {
		time.Sleep(2 * time.Millisecond)
		if after, err = written(pid); err != nil {
			return evidence.Absent, err
		}
	}
	return fmt.Sprint(after - before), nil
}

// written is wchar of /proc/PID/io: bytes given to write(2) and its like.
func written(pid int) (int64, error) {
	path := fmt.Sprintf("/proc/%d/io", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, &evidence.CannotTest{Reason: "the kernel does not count the bytes of a process here: " + err.Error(), WayOut: "run as root on a kernel with CONFIG_TASK_IO_ACCOUNTING, or: cutaway vm"}
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "wchar: "); ok {
			return strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no line wchar", path)
}

func readProxied(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	return []evidence.Fact{
		asked(n, theHost, "127.0.0.1:8081"), asked(n, theHost, "127.0.0.1:8080"),
		asked(n, db, byProxy), asked(n, world, byProxy),
	}, nil
}

// readProxyFlow finds the proxy's own connections: from the bridge's address,
// which the host takes to speak to the subnet, to the container.
func readProxyFlow(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	flows, err := netdemo.Flows(n[theHost])
	for _, f := range flows {
		if f.Origin.Src.Addr() == addr(webGateway) && f.Origin.Dst.String() == webAddress+":80" && portIsAsked(flows, 8081) {
			return []evidence.Fact{evidence.F("client", "conntrack -L", f.Origin.Src.Addr().String())}, err
		}
	}
	return nil, err
}

// portIsAsked tells whether somebody got through to a port of the host: there
// were answers, which a refused connection leaves no trace of.
func portIsAsked(flows []netdemo.Flow, port uint16) bool {
	return slices.ContainsFunc(flows, func(f netdemo.Flow) bool { return f.Origin.Dst.Port() == port })
}

// measureWays times requests from outside, one by the rule and one by the proxy
// in turn, so that what else the machine does falls on both. The two times are
// there to be looked at; the claim is about the CPU time of the proxy's process,
// which another program's load cannot hide.
func measureWays(_ context.Context, b *bench.Bench, n nets) ([]evidence.Fact, error) {
	if n[world] == nil || fetch(n[world], byProxy, webPatience) != greeting(web) {
		return nil, nil
	}
	pid, err := b.Pid("proxy")
	if err != nil {
		return nil, err
	}
	before, err := processTime(pid)
	if err != nil {
		return nil, err
	}
	rule, proxy, err := timeInTurns(n[world], byDNAT, byProxy)
	if err != nil {
		return nil, err
	}
	after, err := processTime(pid)
	from := "clock around an HTTP request from outside"
	return []evidence.Fact{
		evidence.F("by the rule (8080)", from, fmt.Sprint(rule.Round(time.Microsecond))),
		evidence.F("by the proxy (8081)", from, fmt.Sprint(proxy.Round(time.Microsecond))),
		evidence.F("CPU time of the proxy, ms", fmt.Sprintf("clock_gettime(CPU clock of %d)", pid), fmt.Sprintf("%.2f", (after-before).Seconds()*1000)),
	}, err
}

// timeInTurns asks 40 times at each address, and returns the medians.
func timeInTurns(from *netdemo.Namespace, one, other string) (time.Duration, time.Duration, error) {
	var times [2][]time.Duration
	for range 40 {
		for i, address := range []string{one, other} {
			start := time.Now()
			if _, err := get(from, address, webPatience); err != nil {
				return 0, 0, err
			}
			times[i] = append(times[i], time.Since(start))
		}
	}
	slices.Sort(times[0])
	slices.Sort(times[1])
	return times[0][20], times[1][20], nil
}

// processTime is how long a process has used CPUs so far, all its threads together
// (clock_getcpuclockid(3): a process's clock has its pid in its number).
func processTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED: counted by the scheduler, in nanoseconds
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &used); err != nil {
		return 0, fmt.Errorf("clock_gettime(CPU clock of %d): %w", pid, err)
	}
	return time.Duration(used.Nano()), nil
}

func readHairpinSwitches(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	path := "/proc/sys/net/ipv4/conf/" + webBridge + "/route_localnet"
	facts := []evidence.Fact{readSysctl("route_localnet", path)}
	// sysfs shows the network of whoever mounted it, so a bridge port is asked for over netlink.
	mode, err := netdemo.HairpinOf(n[theHost], webCable().name)
	return append(facts, evidence.F("hairpin of the container's bridge port", "bridge -d link show dev "+webCable().name, onOff(mode))), err
}

var targetPort = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`tcp dport (\d+) .*dnat to 172\.19\.0\.2:(\d+)`) })

// readAutoPorts lists the ports as the kernel's rules have them, which is what
// `docker port` would print, and asks at each.
func readAutoPorts(_ context.Context, _ *bench.Bench, n nets) ([]evidence.Fact, error) {
	facts := []evidence.Fact{readSysctl("the kernel's range", "/proc/sys/net/ipv4/ip_local_port_range")}
	rules, err := netdemo.Rules(n[theHost])
	if err != nil {
		return facts, err
	}
	for _, r := range rules {
		m := targetPort().FindStringSubmatch(r.Text)
		if m == nil || r.Family != "ip" {
			continue
		}
		address := wayOutAddr + ":" + m[1]
		facts = append(facts,
			evidence.F(m[2]+"/tcp", "nft list chain ip "+r.Table+" "+r.Chain, "0.0.0.0:"+m[1]),
			evidence.F("outside asks the port of "+m[2]+"/tcp", enterNet(world)+" curl -s "+address, fetch(n[world], address, webPatience)))
	}
	return facts, nil
}

// inRange claims that listed ports are from the range in the first fact.
func inRange(claim string, ports ...string) evidence.Expectation {
	return evidence.Custom(claim, append(ports, "the kernel's range"), func(o evidence.Observed) evidence.Verdict {
		var low, high int
		fmt.Sscan(o.After.Value("the kernel's range"), &low, &high)
		ok := high > 0
		var got []string
		for _, name := range ports {
			value := o.After.Value(name)
			_, text, _ := strings.Cut(value, ":")
			port, err := strconv.Atoi(text)
			ok = ok && err == nil && port >= low && port <= high
			got = append(got, value)
		}
		return evidence.Judged(ok, fmt.Sprintf("ports from %d to %d", low, high), strings.Join(got, ", "))
	})
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
