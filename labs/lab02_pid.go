package labs

import (
	"context"
	"fmt"
	"os"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// pidLab is lab 02: numbers of one's own, and a process 1 on which all depends.
// The steps that send signals stand in lab02_signals.go.
func pidLab() bench.Lab {
	return bench.Lab{ID: "02", Name: "pid", Needs: needs("ns.pid", "ns.mnt"), Steps: []bench.Step{
		pidOneStep(),
		staleProcStep(),
		pidGuestsStep(),
		pidSignalsStep(),
		killInitStep(),
	}}
}

// The processes of this lab besides inner, which is pid 1 of the namespace.
const (
	stale  = "stale"  // pid 1 of another one, with the host's /proc
	second = "second" // both joined inner's
	third  = "third"
)

// intoPids are the namespaces of inner that a process joins to be at its side.
var intoPids = []nsdemo.Kind{nsdemo.PID, nsdemo.Mnt}

func pidOneStep() bench.Step {
	return bench.Step{
		Name: "own", Inside: inner,
		Reproduces: []string{"ns-pid-one"},
		Do:         startPidOne,
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				return append([]string{"unshare --pid --fork --mount-proc sleep 1000 &"}, childIs(inner)...)
			},
			Tools: []bench.Tool{bench.Unshare, bench.Sleep, bench.Cat},
		},
		Look: []bench.View{
			{Title: "one process, two numbers", Read: readPids(inner)},
			{Title: "what ps would list", Read: readProcessLists},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("inside, the process is pid 1", "pid inside", evidence.Equals("1")),
			evidence.Differ("on the host, the same process has another pid", "pid inside", "pid on the host"),
			evidence.Becomes("inside, /proc lists that process alone", "processes inside", evidence.Equals("1 sleep")),
			moreOutside(),
		},
	}
}

// startPidOne makes pid 1 and has it execute sleep in its place, which, unlike
// this program, handles no signal: that matters two steps on.
func startPidOne(ctx context.Context, b *bench.Bench) error {
	p, err := nsdemo.Start(ctx, nsdemo.Spec{Kinds: intoPids, Proc: true})
	if err != nil {
		return err
	}
	if err := b.Keep(inner, p); err != nil {
		return err
	}
	return p.Exec(ctx, "sleep", "1000")
}

// childIs are shell lines that write the pid of the last background job's
// child to NAME.pid: unshare(1) and nsenter(1) fork for a pid namespace, since
// only children are in it.
func childIs(name string) []string {
	return []string{
		"while kill -0 $! && [ -z \"$(cat /proc/$!/task/$!/children)\" ]; do sleep 0.01; done",
		"echo $(cat /proc/$!/task/$!/children) > " + name + ".pid",
		waitUntilRuns(name, "sleep"),
	}
}

func moreOutside() evidence.Expectation {
	uses := []string{"number of processes inside", "number of processes on the host"}
	return evidence.Custom("the host's /proc lists more", uses, func(o evidence.Observed) evidence.Verdict {
		in, okIn := evidence.Number(o.After.Value(uses[0]))
		out, okOut := evidence.Number(o.After.Value(uses[1]))
		return evidence.Judged(okIn && okOut && in < out, "fewer inside than on the host", fmt.Sprintf("%g and %g", in, out))
	})
}

// readPids reads the line NSpid: the pid in every pid namespace from that of
// this /proc down to the process's own.
func readPids(name string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		pid, err := b.Pid(name)
		if err != nil {
			return nil, err
		}
		status, err := nsdemo.ReadStatus("/proc", pid)
		from := fmt.Sprintf("/proc/%d/status, NSpid", pid)
		return []evidence.Fact{
			evidence.F("pid inside", from, fmt.Sprint(status.InnerPid())),
			evidence.F("pid on the host", from, fmt.Sprint(status.Pid)),
		}, err
	}
}

// readProcessLists reads the /proc that inner sees from outside, by way of its
// root: whoever entered to look would be in the list.
func readProcessLists(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	host, err := nsdemo.Processes("/proc")
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("number of processes on the host", "/proc", fmt.Sprint(len(host)))}
	pid, err := b.Pid(inner)
	if err != nil {
		return facts, err
	}
	root := fmt.Sprintf("/proc/%d/root/proc", pid)
	list, err := nsdemo.Processes(root)
	var names []string
	for _, p := range list {
		names = append(names, fmt.Sprintf("%d %s", p.Pid, p.Name))
	}
	return append(facts,
		evidence.F("processes inside", root, strings.Join(names, ", ")),
		evidence.F("number of processes inside", root, fmt.Sprint(len(list))),
	), err
}

func staleProcStep() bench.Step {
	return bench.Step{
		Name: "stale", Inside: inner,
		Reproduces: []string{"ns-pid-proc-stale"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			p, err := nsdemo.Start(ctx, nsdemo.Spec{Kinds: intoPids})
			if err != nil {
				return err
			}
			return b.Keep(stale, p)
		},
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				return append([]string{"unshare --pid --fork --mount sleep 1000 &"}, childIs(stale)...)
			},
			Tools: []bench.Tool{bench.Unshare, bench.Sleep, bench.Cat},
		},
		Look: []bench.View{
			{Title: "one process, two numbers", Read: readPids(stale)},
			{Title: "the /proc that it sees", Read: readStaleProc},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("inside, the process is pid 1 all the same", "pid inside", evidence.Equals("1")),
			evidence.Same("its /proc is the one that was mounted on the host", "its /proc", "the host's /proc"),
			evidence.Becomes("so ps inside lists processes of the host: this lab's own is among them", "this lab's process, in its /proc", evidence.Present()),
		},
	}
}

func readStaleProc(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := []evidence.Fact{evidence.F("the host's /proc", "stat(2) /proc", identity(nsdemo.Stat("/proc/.")))}
	pid, err := b.Pid(stale)
	if err != nil {
		return facts, err
	}
	root := fmt.Sprintf("/proc/%d/root/proc", pid)
	facts = append(facts, evidence.F("its /proc", "stat(2) "+root, identity(nsdemo.Stat(root+"/."))))
	ours := fmt.Sprintf("%s/%d/comm", root, os.Getpid())
	name, err := os.ReadFile(ours)
	if err != nil {
		return facts, err
	}
	return append(facts, evidence.F("this lab's process, in its /proc", ours, strings.TrimSpace(string(name)))), nil
}

func pidGuestsStep() bench.Step {
	return bench.Step{
		Name: "guests", Inside: stale,
		Reproduces: []string{"ns-pid-one"},
		Do:         joinTwice,
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				// The pid is read first: $(cat inner.pid) in a background
				// line would itself be, for a moment, the job's child.
				enter := "nsenter --target $pid --pid --mount sleep 1000 &"
				lines := append([]string{"read pid < inner.pid", enter}, childIs(second)...)
				return append(append(lines, enter), childIs(third)...)
			},
			Tools: []bench.Tool{bench.Nsenter, bench.Sleep, bench.Cat},
		},
		Look: []bench.View{
			{Title: "what ps would list", Read: readProcessLists},
			{Title: "the one that entered second", Read: readSecond},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("inside, there are three processes now", "number of processes inside", evidence.Equals("3")),
			evidence.Becomes("the one that entered got a number of this namespace", "pid inside of the second", evidence.Between(2, 99)),
			evidence.Becomes("its parent is outside, and so has no number here: 0", "pid inside of its parent", evidence.Equals("0")),
		},
	}
}

// joinTwice starts two processes in inner's namespaces, as docker exec does.
func joinTwice(ctx context.Context, b *bench.Bench) error {
	pid, err := b.Pid(inner)
	if err != nil {
		return err
	}
	for _, name := range []string{second, third} {
		p, err := nsdemo.Join(ctx, pid, intoPids...)
		if err != nil {
			return err
		}
		if err := b.Keep(name, p); err != nil {
			return err
		}
	}
	return nil
}

func readSecond(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	host, inside, err := secondPids(b)
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("pid inside of the second", fmt.Sprintf("/proc/%d/status, NSpid", host), fmt.Sprint(inside))}
	root := fmt.Sprintf("/proc/%d/root/proc", host)
	status, err := nsdemo.ReadStatus(root, inside)
	if err != nil {
		return facts, err
	}
	return append(facts, evidence.F("pid inside of its parent", fmt.Sprintf("%s/%d/status, PPid", root, inside), fmt.Sprint(status.PPid))), nil
}

// secondPids are both numbers of the process.
func secondPids(b *bench.Bench) (host, inside int, err error) {
	host, err = b.Pid(second)
	if err != nil {
		return 0, 0, err
	}
	status, err := nsdemo.ReadStatus("/proc", host)
	return host, status.InnerPid(), err
}
