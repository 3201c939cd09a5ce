package labs

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// outside is the process that listens on the lab host.
const outside = "outside"

// What each listener says to whoever connects.
const (
	saidInside = "hello-from-inside"
	saidOnHost = "hello-from-the-host"
)

// port is the learner's choice (--set port=8080).
func port(b *bench.Bench) string { return b.Param("port", "8080") }

func loopbackAddress(b *bench.Bench) string { return net.JoinHostPort("127.0.0.1", port(b)) }

func netLoopbackStep() bench.Step {
	return bench.Step{
		Name: "loopback", Inside: inner,
		Do: func(ctx context.Context, b *bench.Bench) error {
			p, err := b.Inside(ctx, inner)
			if err != nil {
				return err
			}
			return p.LoopbackUp(ctx)
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines("nsenter --target $(cat inner.pid) --net ip link set lo up"),
			Tools: []bench.Tool{bench.Nsenter, bench.IP},
		},
		Look: []bench.View{
			{Title: "loopback devices", Read: readLoopbacks},
			{Title: "who answers on 127.0.0.1", Read: readAnswers},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("lo is up inside, and has 127.0.0.1", "lo inside", evidence.Matches(`^UP, .*127\.0\.0\.1/8`)),
			evidence.Becomes("127.0.0.1 is there now, but nobody listens: connection refused, no longer network unreachable",
				"answer inside", evidence.Equals("ECONNREFUSED")),
			evidence.Keeps("the host's lo is another device, and is as it was", "lo on the host"),
		},
	}
}

// readLoopbacks reads lo on both sides.
func readLoopbacks(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	host, err := nsdemo.Links()
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("lo on the host", "ip address show dev lo", describeNamed(host, "lo"))}
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return facts, err
	}
	in, err := p.Links(ctx)
	pid, _ := b.Pid(inner)
	from := fmt.Sprintf("nsenter --target %d --net ip address show dev lo", pid)
	return append(facts, evidence.F("lo inside", from, describeNamed(in, "lo"))), err
}

func netListenInsideStep() bench.Step {
	return bench.Step{
		Name: "listen-inside", Inside: inner,
		Reproduces: []string{"ns-net-port"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			p, err := b.Inside(ctx, inner)
			if err != nil {
				return err
			}
			_, err = p.Listen(ctx, loopbackAddress(b), saidInside)
			return err
		},
		ByHand: listenByHand("nsenter --target $(cat inner.pid) --net ", saidInside),
		Look:   portViews(),
		Expect: []evidence.Expectation{
			evidence.Becomes("inside, a socket listens on the port", "socket inside", evidence.Equals("LISTEN")),
			evidence.Becomes("connecting from inside reaches it", "answer inside", evidence.Equals(saidInside)),
			evidence.AlwaysIs("on the host the port is free, and nobody answers there", "answer on the host", evidence.Equals("ECONNREFUSED")),
		},
	}
}

func netListenHostStep() bench.Step {
	return bench.Step{
		Name: "listen-host", Inside: inner,
		Reproduces: []string{"ns-net-port"},
		Do:         listenOutside,
		ByHand:     listenByHand("", saidOnHost),
		Look:       portViews(),
		Expect: []evidence.Expectation{
			evidence.Becomes("on the host, a socket listens on the same port at the same time", "socket on the host", evidence.Equals("LISTEN")),
			evidence.Becomes("connecting from the host reaches the host's own", "answer on the host", evidence.Equals(saidOnHost)),
			evidence.AlwaysIs("connecting from inside still reaches the inner one", "answer inside", evidence.Equals(saidInside)),
		},
	}
}

// listenOutside starts a process without any new namespace, and lets it listen.
func listenOutside(ctx context.Context, b *bench.Bench) error {
	p, err := nsdemo.Start(ctx, nsdemo.Spec{})
	if err != nil {
		return err
	}
	if err := b.Keep(outside, p); err != nil {
		return err
	}
	_, err = p.Listen(ctx, loopbackAddress(b), saidOnHost)
	return err
}

// listenByHand starts a listener that says a word to everyone, and waits until
// it listens. enter is what to put before a command to run it elsewhere.
func listenByHand(enter, word string) bench.ByHand {
	return bench.ByHand{
		Lines: func(b *bench.Bench) []string {
			return []string{
				fmt.Sprintf("%ssocat TCP-LISTEN:%s,bind=127.0.0.1,reuseaddr,fork EXEC:'echo -n %s' &", enter, port(b), word),
				fmt.Sprintf("timeout 10 sh -c 'until %ssocat -u OPEN:/dev/null TCP:127.0.0.1:%s 2>/dev/null; do sleep 0.01; done'", enter, port(b)),
				fmt.Sprintf("%ssocat -u TCP:127.0.0.1:%s -", enter, port(b)),
			}
		},
		// Not nc: its flags differ between the programs of that name, and it
		// cannot answer twice.
		Tools: []bench.Tool{bench.Nsenter, bench.Socat, bench.Timeout, bench.Sleep},
	}
}

func portViews() []bench.View {
	return []bench.View{
		{Title: "sockets bound to the port", Read: readSockets},
		{Title: "who answers on 127.0.0.1", Read: readAnswers},
	}
}

// readSockets looks the port up in the socket table of each net namespace.
// /proc/PID/net is that of the process's namespace, so nothing has to be entered.
func readSockets(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts, err := readSocket("socket on the host", os.Getpid(), port(b))
	if err != nil {
		return facts, err
	}
	pid, err := b.Pid(inner)
	if err != nil {
		return facts, err
	}
	in, err := readSocket("socket inside", pid, port(b))
	return append(facts, in...), err
}

func readSocket(name string, pid int, port string) ([]evidence.Fact, error) {
	path := fmt.Sprintf("/proc/%d/net/tcp", pid)
	table, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	state := evidence.Absent
	if listens(string(table), port) {
		state = "LISTEN"
	}
	return []evidence.Fact{evidence.F(name, path, state)}, nil
}

// listens finds a line "0: 0100007F:1F90 00000000:0000 0A ...": local address,
// remote address, state, all hexadecimal; 0A is TCP_LISTEN (proc_pid_net(5)).
func listens(table, port string) bool {
	number, err := strconv.Atoi(port)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if err == nil && len(fields) > 3 && fields[3] == "0A" && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", number)) {
			return true
		}
	}
	return false
}

// readAnswers connects to the port on both sides and notes what is said, or why
// there was no connection.
func readAnswers(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	said := heard(dialHere(ctx, loopbackAddress(b)))
	facts := []evidence.Fact{evidence.F("answer on the host", "nc 127.0.0.1 "+port(b), said)}
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return facts, err
	}
	pid, _ := b.Pid(inner)
	from := fmt.Sprintf("nsenter --target %d --net nc 127.0.0.1 %s", pid, port(b))
	return append(facts, evidence.F("answer inside", from, heard(p.Dial(ctx, loopbackAddress(b))))), nil
}

// dialHere does on the lab host what [nsdemo.Process.Dial] does inside.
func dialHere(ctx context.Context, address string) (string, error) {
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	said, err := io.ReadAll(c)
	return string(said), err
}

// heard is what was said, or why there was no connection.
func heard(said string, err error) string {
	if err != nil {
		return answer(err)
	}
	return strings.TrimSpace(said)
}

func netConflictStep() bench.Step {
	return bench.Step{
		Name: "conflict", Inside: inner,
		Reproduces: []string{"ns-net-port"},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return []string{fmt.Sprintf("! nsenter --target $(cat inner.pid) --net timeout 1 socat -u TCP-LISTEN:%s,bind=127.0.0.1,reuseaddr -", port(b))}
			},
			Tools: []bench.Tool{bench.Nsenter, bench.Timeout, bench.Socat},
		},
		Look: []bench.View{{Title: "one more listener on the port", Read: readConflict}},
		Expect: []evidence.Expectation{
			evidence.Is("within one net namespace the kernel does refuse a second listener on a port", "one more inside", evidence.Equals("EADDRINUSE")),
			evidence.Is("so it does on the host", "one more on the host", evidence.Equals("EADDRINUSE")),
		},
	}
}

// readConflict tries bind(2) and listen(2) once more on either side, by new
// processes whose sockets end with them.
func readConflict(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	host, err := tryListen(ctx, "one more on the host", b, os.Getpid())
	if err != nil {
		return nil, err
	}
	pid, err := b.Pid(inner)
	if err != nil {
		return host, err
	}
	in, err := tryListen(ctx, "one more inside", b, pid)
	return append(host, in...), err
}

func tryListen(ctx context.Context, name string, b *bench.Bench, pid int) ([]evidence.Fact, error) {
	p, err := nsdemo.Join(ctx, pid, nsdemo.Net)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	got, err := p.Listen(ctx, loopbackAddress(b), "")
	if err == nil {
		got = "listens on " + got
	}
	from := fmt.Sprintf("bind(2), listen(2) on %s in the net namespace of process %d", loopbackAddress(b), pid)
	return []evidence.Fact{evidence.F(name, from, heard(got, err))}, nil
}
