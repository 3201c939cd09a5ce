package labs

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// The second half of lab 02: who may end pid 1 of a namespace, and what ends
// with it.

func pidSignalsStep() bench.Step {
	return bench.Step{
		Name: "signals", Inside: inner,
		Reproduces: []string{"ns-pid-kill-init"},
		Do:         signalFromInside,
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"nsenter --target $(cat inner.pid) --pid --mount sh -c 'kill -TERM 1; kill -KILL 1'",
				"awk '/^NSpid/ { print $NF }' /proc/$(cat second.pid)/status > second.inner",
				"nsenter --target $(cat inner.pid) --pid --mount sh -c \"kill -KILL $(cat second.inner)\"",
				waitUntilGone(second),
			),
			Tools: []bench.Tool{bench.Nsenter, {Program: "awk", Package: "mawk"}},
		},
		Look: []bench.View{{Title: "who is alive", Read: readAlive(inner, second, third)}, {Title: "handlers of pid 1", Read: readHandlers}},
		Expect: []evidence.Expectation{
			evidence.Becomes("SIGKILL from inside ended the second process", second, evidence.Gone()),
			evidence.Keeps("SIGTERM and SIGKILL from inside did nothing to pid 1", inner),
			evidence.AlwaysIs("pid 1 has no handler for SIGTERM", "handler for SIGTERM", evidence.Equals("none")),
		},
	}
}

// signalFromInside sends from within the namespace: to pid 1, and to another.
func signalFromInside(ctx context.Context, b *bench.Bench) error {
	pid, err := b.Pid(inner)
	if err != nil {
		return err
	}
	host, victim, err := secondPids(b)
	if err != nil {
		return err
	}
	sender, err := nsdemo.Join(ctx, pid, intoPids...)
	if err != nil {
		return err
	}
	defer sender.Close()
	for _, s := range []struct {
		pid    int
		signal unix.Signal
	}{{1, unix.SIGTERM}, {1, unix.SIGKILL}, {victim, unix.SIGKILL}} {
		if err := sender.Kill(ctx, s.pid, s.signal); err != nil {
			return err
		}
	}
	return waitGone(ctx, host)
}

// waitGone waits for the end of processes that are about to end: a signal is
// sent at once, and taken a little later.
func waitGone(ctx context.Context, pids ...int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, pid := range pids {
		for {
			if _, err := journal.ProcessOf(pid); err != nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("process %d did not end: %w", pid, ctx.Err())
			case <-time.After(2 * time.Millisecond):
			}
		}
	}
	return nil
}

// waitUntilGone is the shell line for the same.
func waitUntilGone(name string) string {
	return "while kill -0 $(cat " + name + ".pid) 2> /dev/null; do sleep 0.01; done"
}

func readAlive(names ...string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		var facts []evidence.Fact
		for _, name := range names {
			value, from := evidence.Absent, "/proc/PID/comm"
			if pid, err := b.Pid(name); err == nil {
				value, from = "alive", fmt.Sprintf("/proc/%d", pid)
			}
			facts = append(facts, evidence.F(name, from, value))
		}
		return facts, nil
	}
}

func readHandlers(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid(inner)
	if err != nil {
		return nil, err
	}
	status, err := nsdemo.ReadStatus("/proc", pid)
	value := "none"
	if status.Handles(unix.SIGTERM) {
		value = "there is one"
	}
	return []evidence.Fact{evidence.F("handler for SIGTERM", fmt.Sprintf("/proc/%d/status, SigCgt", pid), value)}, err
}

func killInitStep() bench.Step {
	return bench.Step{
		Name: "kill-init", Inside: inner,
		Reproduces: []string{"ns-pid-kill-init"},
		Do:         killInit,
		ByHand: bench.ByHand{
			Lines: bench.Lines("kill -KILL $(cat inner.pid)", waitUntilGone(inner), waitUntilGone(third)),
		},
		Look: []bench.View{{Title: "who is alive", Read: readAlive(inner, third, stale)}},
		Expect: []evidence.Expectation{
			evidence.Becomes("SIGKILL from the host ended pid 1 of the namespace", inner, evidence.Gone()),
			evidence.Becomes("with it the kernel ended every other process in there", third, evidence.Gone()),
			evidence.Keeps("a process in another pid namespace lives on", stale),
		},
	}
}

// killInit sends SIGKILL from the parent pid namespace, where pid 1 is a
// process like any other.
func killInit(ctx context.Context, b *bench.Bench) error {
	pid, err := b.Pid(inner)
	if err != nil {
		return err
	}
	other, err := b.Pid(third)
	if err != nil {
		return err
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	if err := p.Kill(); err != nil {
		return fmt.Errorf("kill(%d, SIGKILL): %w", pid, err)
	}
	return waitGone(ctx, pid, other)
}
