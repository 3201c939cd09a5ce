package labs

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
	"cutaway/nsdemo"
)

// initLab is lab 33: what process 1 has to do besides its own work.
func initLab() bench.Lab {
	return bench.Lab{ID: "33", Name: "init", Needs: needs("cgroup.delegation", "ns.mnt", "ns.pid", "mount.pivot-root"), Steps: []bench.Step{
		initOrphansStep(),
		initSignalStep(),
	}}
}

// leavesOrphans is a program that nobody can blame: it starts three others in
// the background, by shells that end at once, and then becomes a program that
// waits for nobody.
const leavesOrphans = "for i in 1 2 3; do (sleep 0.1 &); done; exec sleep 1000"

// The two containers differ in one option.
const (
	withoutInit = "without-init"
	withInit    = "with-init"
)

func initOrphansStep() bench.Step {
	return bench.Step{
		Name: "orphans", Reproduces: []string{"part-init"}, Inside: withoutInit,
		Intend: intendEngine,
		Do:     runBothInits,
		ByHand: bench.ByHand{
			Lines: func(*bench.Bench) []string {
				lines := append(runLines(withoutInit, "--network none box sh -c "+shellQuote(leavesOrphans)),
					runLines(withInit, "--init --network none box sh -c "+shellQuote(leavesOrphans))...)
				return append(lines,
					"until [ $(cutaway exec "+withoutInit+" ps -o stat | grep -c Z) = 3 ]; do sleep 0.01; done",
					"until cutaway exec "+withInit+" ps -o args | grep -q '^sleep 1000'; do sleep 0.01; done",
					"while cutaway exec "+withInit+" ps -o args | grep -q '^sleep 0.1'; do sleep 0.01; done")
			},
			Tools: []bench.Tool{cutawayTool, bench.Grep, bench.Sleep},
		},
		Look: []bench.View{{Title: "the processes of both containers", Columns: []string{withoutInit, withInit}, Read: readInits}},
		Expect: []evidence.Expectation{
			cells("without an init, the program itself is process 1", "process 1", "sleep", "init"),
			cells("its three orphans have ended, and nobody has asked how: they stay as zombies", "zombies", "3", "0"),
			evidence.ColumnsDiffer("with an init, process 1 is a program whose work is to wait for others: it reaps them", "zombies", 0, 1),
			cells("every zombie holds a process number, and counts for --pids-limit", "processes", "4", "2"),
		},
	}
}

// runBothInits runs the program in both and waits until its orphans have ended.
func runBothInits(ctx context.Context, b *bench.Bench) error {
	for _, name := range []string{withoutInit, withInit} {
		o := minicontainer.Options{Name: name, Config: minicontainer.Config{Image: "box", Cmd: []string{"sh", "-c", leavesOrphans}}}
		o.Host.NetworkMode = "none"
		if name == withInit {
			yes := true
			o.Host.Init = &yes
		}
		if err := run(b, o); err != nil {
			return err
		}
	}
	return waitFor(ctx, "the orphans have ended", func() bool {
		return countMembers(b, withoutInit, zombies) == 3 && countMembers(b, withInit, others) == 1
	})
}

func countMembers(b *bench.Bench, name string, count func(map[int]nsdemo.Status) int) int {
	pid, err := b.Pid(name)
	if err != nil {
		return -1
	}
	all, err := members(pid)
	if err != nil {
		return -1
	}
	return count(all)
}

// others counts the processes beside process 1, once the program has become the
// sleep that it ends with: until then it may still start some.
func others(all map[int]nsdemo.Status) int {
	for _, s := range all {
		if commandLine(s.Pid) == "sleep 1000" {
			return len(all) - 1
		}
	}
	return -1
}

func readInits(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := []evidence.Fact{
		evidence.F("process 1", "/proc/PID/cmdline"), evidence.F("processes", "/proc/*/status, those of its pid namespace"),
		evidence.F("zombies", "State Z in /proc/*/status"), evidence.F("list", "NSpid, Name and State in /proc/*/status"),
	}
	for _, name := range []string{withoutInit, withInit} {
		values := []string{evidence.Absent, evidence.Absent, evidence.Absent, evidence.Absent}
		if pid, err := b.Pid(name); err == nil {
			all, err := members(pid)
			if err != nil {
				return nil, err
			}
			first, _, _ := strings.Cut(commandLine(pid), " ")
			values = []string{first[strings.LastIndex(first, "/")+1:], fmt.Sprint(len(all)), fmt.Sprint(zombies(all)), listMembers(all)}
		}
		for i := range facts {
			facts[i].Values = append(facts[i].Values, values[i])
		}
	}
	return facts, nil
}

func initSignalStep() bench.Step {
	return bench.Step{
		Name: "signal", Reproduces: []string{"part-init"}, Inside: withoutInit,
		Intend: intendEngine,
		Do:     signalBoth,
		ByHand: bench.ByHand{
			Lines: bench.Lines("cutaway kill --signal TERM "+withoutInit+" "+withInit, "cutaway wait "+withInit),
			Tools: []bench.Tool{cutawayTool},
		},
		Look: []bench.View{{Title: "after SIGTERM", Read: readSignals}},
		Expect: []evidence.Expectation{
			evidence.Keeps("without an init, the container runs on: the kernel does not deliver SIGTERM to a process 1 that has no handler for it", "status "+withoutInit),
			evidence.Becomes("with an init, the container has ended", "status "+withInit, evidence.Equals("exited")),
			evidence.Becomes("its exit code says how: the signal was passed on to the program, which died of it (128 + 15)", "exit code "+withInit, evidence.Equals("143")),
		},
	}
}

// signalBoth is `cutaway kill --signal TERM`, which is how stop begins.
func signalBoth(ctx context.Context, b *bench.Bench) error {
	err := withEngine(b, func(e *minicontainer.Engine) error {
		if err := e.Kill(withoutInit, unix.SIGTERM); err != nil {
			return err
		}
		return e.Kill(withInit, unix.SIGTERM)
	})
	if err != nil {
		return err
	}
	_, err = waitForContainer(ctx, b, withInit)
	return err
}

func readSignals(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	for _, name := range []string{withoutInit, withInit} {
		status, err := statusOf(b, name)
		if err != nil {
			return facts, err
		}
		facts = append(facts, evidence.F("status "+name, "cutaway ps --all", status))
		caught := evidence.Absent
		if pid, err := b.Pid(name); err == nil {
			s, err := nsdemo.ReadStatus("/proc", pid)
			if err != nil {
				return facts, err
			}
			caught = fmt.Sprint(s.Handles(unix.SIGTERM))
		}
		facts = append(facts, evidence.F("process 1 of "+name+" handles SIGTERM", "SigCgt in /proc/PID/status", caught))
	}
	code := evidence.Absent
	if c, err := container(b, withInit); err == nil && c != nil && !c.State.Running {
		code = fmt.Sprint(c.State.ExitCode)
	}
	return append(facts, evidence.F("exit code "+withInit, "cutaway inspect --format '{{.State.ExitCode}}' "+withInit, code)), nil
}
