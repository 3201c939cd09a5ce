package labs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
	"cutaway/nsdemo"
)

// hostNetLab is lab 23: a container in the host's own network, `docker run --network host`.
func hostNetLab() bench.Lab {
	return bench.Lab{ID: "23", Name: "host", Needs: needs("ns.mnt", "ns.uts", "ns.ipc", "ns.pid", "net.veth"), Steps: []bench.Step{
		uplinkStep(),
		hostNetStartStep(),
		hostNetListenStep(),
	}}
}

func hostNetStartStep() bench.Step {
	kinds := []nsdemo.Kind{nsdemo.Net, nsdemo.Mnt, nsdemo.UTS, nsdemo.IPC, nsdemo.PID}
	return bench.Step{
		Name: "start", Inside: web,
		Reproduces: []string{"net-host"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			return startContainer(ctx, b, web, nsdemo.Mnt, nsdemo.UTS, nsdemo.IPC, nsdemo.PID)
		},
		ByHand: bench.ByHand{
			Lines: together(containerByHand(web, "unshare --mount --uts --ipc --pid"), []string{
				enterAll(web) + "ip -brief address",
				enterAll(web) + "ping -c 1 -W 2 " + worldAddr,
			}),
			Tools: []bench.Tool{bench.Unshare, bench.Sleep, bench.Nsenter, bench.IP, bench.Ping},
		},
		Look: []bench.View{
			{Title: "namespace ids", Columns: []string{web, theHost}, Read: readNamespacesOf(web, theHost, kinds...)},
			{Title: "net namespaces, links and routes", Columns: []string{web, theHost}, Read: readBeside},
			{Title: "who is reached", Read: readPings(worldAddr, web)},
		},
		Draw: drawNetworks(theHost, web, world),
		Expect: []evidence.Expectation{
			evidence.ColumnsSame("the container is in the host's net namespace", "net", 0, 1),
			evidence.ColumnsDiffer("its mounts are its own all the same", "mnt", 0, 1),
			evidence.ColumnsDiffer("so is its hostname", "uts", 0, 1),
			evidence.ColumnsDiffer("so are its message queues", "ipc", 0, 1),
			evidence.ColumnsDiffer("so are its process ids", "pid", 0, 1),
			evidence.ColumnsSame("it has the host's links", "links", 0, 1),
			evidence.ColumnsSame("it has the host's routes", "routes (main table)", 0, 1),
			evidence.Becomes("it reaches the outside at once, with nothing set up for it", "ping "+worldAddr+" from "+web, reachable(worldAddr, 64)),
		},
	}
}

// readNamespacesOf compares the namespaces of two containers, or of one and the host.
func readNamespacesOf(a, b string, kinds ...nsdemo.Kind) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, at *bench.Bench) (facts []evidence.Fact, err error) {
		var ids []map[nsdemo.Kind]uint64
		from := "readlink"
		for _, name := range []string{a, b} {
			pid := os.Getpid()
			if name != theHost {
				if pid, err = at.Pid(name); err != nil {
					return nil, err
				}
			}
			one, err := nsdemo.IDs("/proc", pid)
			if err != nil {
				return nil, err
			}
			ids, from = append(ids, one), fmt.Sprintf("%s /proc/%d/ns/KIND", from, pid)
		}
		for _, k := range kinds {
			facts = append(facts, evidence.F(string(k), strings.ReplaceAll(from, "KIND", string(k)), fmt.Sprint(ids[0][k]), fmt.Sprint(ids[1][k])))
		}
		return facts, nil
	}
}

const (
	servedPort = 8080
	servedWord = "hello-from-the-container"
)

func hostNetListenStep() bench.Step {
	return bench.Step{
		Name: "listen", Inside: web,
		Reproduces: []string{"net-host"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			p, err := b.Inside(ctx, web)
			if err != nil {
				return err
			}
			_, err = p.Listen(ctx, ":"+strconv.Itoa(servedPort), servedWord)
			return err
		},
		ByHand: serveByHand(enterAll(web), "0.0.0.0"),
		Look: []bench.View{
			{Title: "the port on the host", Read: readHostPort},
			{Title: "who answers", Read: readServed(world, wayOutAddr)},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the port stands in the host's table of sockets", "socket in the host's table", evidence.Equals("LISTEN")),
			evidence.Same("the one who listens is a process of the container: it is in the container's pid namespace", "listener's pid namespace", "container's pid namespace"),
			evidence.Becomes("the host itself cannot have the port any more", "bind(2) on the host", evidence.Equals("EADDRINUSE")),
			evidence.Becomes("from outside it is reached at the host's address, and nobody has published anything", "answer at "+wayOutAddr, evidence.Equals(servedWord)),
		},
	}
}

// serveByHand starts a listener that says a word to everyone, and waits until it
// listens. enter is what to put before a command to run it in the container.
func serveByHand(enter, address string) bench.ByHand {
	return bench.ByHand{
		Lines: bench.Lines(
			fmt.Sprintf("%ssocat TCP-LISTEN:%d,bind=%s,reuseaddr,fork EXEC:'echo -n %s' &", enter, servedPort, address, servedWord),
			fmt.Sprintf("while kill -0 $! && ! %sss -Hltn sport = :%d | grep -q LISTEN; do sleep 0.01; done", enter, servedPort),
		),
		Tools: []bench.Tool{bench.Nsenter, bench.Socat, bench.Ss, bench.Sleep, {Program: "grep", Package: "grep"}},
	}
}

// readHostPort looks the port up among the host's sockets, finds out whose it is, and
// tries to have it as well.
func readHostPort(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return factsOf(b, theHost, func(ns *netdemo.Namespace) ([]evidence.Fact, error) {
		taken := fmt.Sprintf("bind(2) on :%d", servedPort)
		facts := []evidence.Fact{evidence.F("bind(2) on the host", taken, tryPort(ns, fmt.Sprintf(":%d", servedPort)))}
		sockets, err := netdemo.Sockets(ns)
		for _, s := range sockets {
			if s.Local.Port() != servedPort || s.State != "LISTEN" {
				continue
			}
			facts = append(facts, evidence.F("socket in the host's table", "ss -ltnp", s.State))
			owner, err := netdemo.SocketOwner(s.Inode)
			if err != nil {
				return facts, err
			}
			return append(facts, pidNamespace("listener's pid namespace", owner.Pid), containerPidNamespace(b)), nil
		}
		return facts, err
	})
}

func containerPidNamespace(b *bench.Bench) evidence.Fact {
	pid, _ := b.Pid(web) // 0 is in no namespace, which then is absent
	return pidNamespace("container's pid namespace", pid)
}

func pidNamespace(name string, pid int) evidence.Fact {
	id, err := nsdemo.ID("/proc", pid, nsdemo.PID)
	value := fmt.Sprint(id)
	if err != nil {
		value = evidence.Absent
	}
	return evidence.F(name, nsdemo.PID.File("/proc", pid), value)
}

// tryPort tries to listen, and lets go at once.
func tryPort(ns *netdemo.Namespace, address string) string {
	err := ns.Do(func() error {
		l, err := net.Listen("tcp", address)
		if err == nil {
			l.Close()
		}
		return err
	})
	if err != nil {
		return answer(err)
	}
	return "the port is free"
}

// readServed connects to the port from a place, and notes what is said there.
func readServed(from, address string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		return factsOf(b, from, func(ns *netdemo.Namespace) ([]evidence.Fact, error) {
			to := net.JoinHostPort(address, strconv.Itoa(servedPort))
			return []evidence.Fact{evidence.F("answer at "+address, fmt.Sprintf("nc %s %d, in %s", address, servedPort, from), askThere(ns, to))}, nil
		})
	}
}

// askThere connects to an address and gives what is said, or the kernel's reason.
func askThere(ns *netdemo.Namespace, address string) string {
	var said []byte
	err := ns.Do(func() error {
		c, err := net.DialTimeout("tcp", address, patience())
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(serverPatience))
		said, err = io.ReadAll(c)
		return err
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "no answer"
	}
	if err != nil {
		return answer(err)
	}
	return string(said)
}
