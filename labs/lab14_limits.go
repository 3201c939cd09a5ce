package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo"
	"cutaway/cgroupdemo/workload"
	"cutaway/internal/evidence"
	"cutaway/internal/inside"
	"cutaway/labs/bench"
)

// limitsLab is lab 14: the other limits of a container: processes, block
// devices, CPUs by number, device nodes.
func limitsLab() bench.Lab {
	return bench.Lab{ID: "14", Name: "limits", Needs: needs("cgroup.delegation"), Steps: []bench.Step{
		pidsStep(),
		diskStep(),
		throttleStep(),
		cpusetStep(),
		devicesListStep(),
		devicesProgramStep(),
	}}
}

// A bomb of at most 100 processes under a limit of 40 tasks. The limit leaves
// room for the threads of the Go runtime, which count as well.
const (
	bombLimit = 40
	bombMax   = 100
)

var bombGroup = labGroup{name: "bomb", controllers: []cgroupdemo.Controller{cgroupdemo.PIDs}}

func fewTasks(*bench.Bench) (cgroupdemo.Spec, error) {
	return cgroupdemo.Spec{LinuxResources: specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ref(int64(bombLimit))}}}, nil
}

func pidsStep() bench.Step {
	return bench.Step{
		Name: "pids", Reproduces: []string{"cg-pids"},
		Intend: bombGroup.intend,
		Do:     dropBomb,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				lines := append(bombGroup.createLines(b), bombGroup.setLines(b, fewTasks)...)
				program := fmt.Sprintf("i=0; while [ $i -lt %d ]; do sleep 1000 & i=$((i+1)); done; wait", bombMax)
				return append(lines, bombGroup.inGroup(b, program)+" & echo $! > bomb.pid",
					"until grep -q 'max [1-9]' "+bombGroup.dirOf(b, cgroupdemo.PIDs)+"/pids.events; do sleep 0.01; done")
			},
			Tools: []bench.Tool{bench.Mkdir, bench.Sleep, {Program: "grep", Package: "grep"}},
		},
		Look: []bench.View{
			bombGroup.settings(fewTasks),
			{Title: "tasks in the group", Read: readBomb},
			{Title: "what fork(2) answers", Columns: []string{"in the group", "outside"}, Read: readFork},
		},
		Expect: []evidence.Expectation{
			// The shell of the by-hand bomb gives up at its first failure and makes room for one.
			evidence.Becomes("the bomb stops at the limit", "tasks", evidence.Between(bombLimit-1, bombLimit)),
			evidence.Becomes("the kernel counts the forks that it refused", "refused forks", evidence.AtLeast(1)),
			evidence.Becomes("in the group fork fails with EAGAIN", "fork", evidence.Equals("EAGAIN")),
			evidence.Custom("the host is untouched: outside the group fork works", []string{"fork"}, func(o evidence.Observed) evidence.Verdict {
				in, out := o.After.Column("fork", 0), o.After.Column("fork", 1)
				return evidence.Judged(in == "EAGAIN" && out == "works", "refused inside, works outside", in+" inside, "+out+" outside")
			}),
		},
	}
}

// dropBomb has a process of the group fork until it cannot any more, and keep
// its children.
func dropBomb(ctx context.Context, b *bench.Bench) error {
	if err := bombGroup.create(ctx, b); err != nil {
		return err
	}
	if err := bombGroup.set(b, fewTasks); err != nil {
		return err
	}
	h, err := bombGroup.start(ctx, b, "bomb")
	if err != nil {
		return err
	}
	work(h, workload.RequestFork, workload.ForkArgs{Max: bombMax, Hold: long})
	g, _, err := bombGroup.open(b)
	if err != nil {
		return err
	}
	return waitFor(ctx, "a fork was refused", func() bool { return g.PIDs().Refused.Value > 0 })
}

func readBomb(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	g, _, err := bombGroup.open(b)
	if err != nil {
		return nil, err
	}
	p := g.PIDs()
	return []evidence.Fact{reading("limit", p.Max), reading("tasks", p.Current), reading("refused forks", p.Refused)}, nil
}

// readFork asks for one child, first from outside, then from inside the group.
// Both times by the same process: moving in is not refused, forking there is.
// Go's runtime may want a thread of its own at the wrong moment and die of the
// same EAGAIN; then another process is asked.
func readFork(ctx context.Context, b *bench.Bench) (facts []evidence.Fact, err error) {
	g, _, err := bombGroup.open(b)
	if err != nil {
		return nil, err
	}
	for range 5 {
		facts, err = askToFork(ctx, g)
		if !errors.Is(err, inside.ErrGone) {
			break
		}
	}
	return facts, err
}

func askToFork(ctx context.Context, g *cgroupdemo.Group) ([]evidence.Fact, error) {
	h, err := inside.Start(ctx, inside.Config{})
	if err != nil {
		return nil, err
	}
	defer h.Close()
	out, err := forkAnswer(ctx, h)
	if err != nil {
		return nil, err
	}
	in := evidence.Absent
	if g.Attach(h.Pid()) == nil {
		in, err = forkAnswer(ctx, h)
	}
	return []evidence.Fact{evidence.F("fork", "clone(2) by a process of ours", in, out)}, err
}

func forkAnswer(ctx context.Context, h *inside.Helper) (string, error) {
	var made workload.Forked
	if err := h.Call(ctx, workload.RequestFork, workload.ForkArgs{Max: 1, Hold: time.Millisecond}, &made); err != nil {
		return "", err
	}
	if made.Errno != 0 {
		return unix.ErrnoName(made.Errno), nil
	}
	return "works", nil
}

var (
	pinnedGroup = labGroup{name: "pinned", controllers: []cgroupdemo.Controller{cgroupdemo.CPUSet}}
	lastCPU     = func(b *bench.Bench) (cgroupdemo.Spec, error) {
		cpu := b.Param("cpu", fmt.Sprint(oneCPUOf()))
		return cgroupdemo.Spec{LinuxResources: specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: cpu}}}, nil
	}
)

func cpusetStep() bench.Step {
	return bench.Step{
		Name: "cpuset", Reproduces: []string{"cg-cpuset"},
		Intend: pinnedGroup.intend,
		Do:     startPinned,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				lines := append(pinnedGroup.createLines(b), pinnedGroup.setLines(b, lastCPU)...)
				for _, name := range []string{"loop1", "loop2"} {
					lines = append(lines, busyLine(name), pinnedGroup.moveLine(b, name))
				}
				return lines
			},
			Tools: []bench.Tool{bench.Mkdir, bench.Cat},
		},
		Look: []bench.View{
			pinnedGroup.settings(lastCPU),
			{Title: "CPUs", Columns: []string{"in the group", "outside"}, Read: readPinned},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the group's processes are allowed that one CPU", "Cpus_allowed_list", evidence.Param("cpu")),
			evidence.ColumnsDiffer("outside, more CPUs are allowed", "Cpus_allowed_list", 0, 1),
			evidence.Becomes("their busy threads were only seen on that CPU", "ran on", evidence.Param("cpu")),
		},
	}
}

// startPinned makes the group, gives it one CPU and starts two busy loops in it.
func startPinned(ctx context.Context, b *bench.Bench) error {
	if err := pinnedGroup.create(ctx, b); err != nil {
		return err
	}
	if err := pinnedGroup.set(b, lastCPU); err != nil {
		return err
	}
	h, err := pinnedGroup.start(ctx, b, "loops")
	if err != nil {
		return err
	}
	work(h, workload.RequestBurn, workload.BurnArgs{Threads: 2, For: long})
	return nil
}

// readPinned reads what is allowed, and looks thirty times where busy threads are.
func readPinned(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	g, _, err := pinnedGroup.open(b)
	if err != nil {
		return nil, err
	}
	if err := needTwoCPUs(); err != nil {
		return nil, err
	}
	pids, err := g.Processes()
	if err != nil || len(pids) == 0 {
		return nil, err
	}
	in, err := statusField(pids[0], "Cpus_allowed_list")
	if err != nil {
		return nil, err
	}
	out, err := statusField(os.Getpid(), "Cpus_allowed_list")
	if err != nil {
		return nil, err
	}
	var seen []string
	for range 30 {
		seen = append(seen, runningOn(pids)...)
		time.Sleep(10 * time.Millisecond)
	}
	slices.Sort(seen)
	return []evidence.Fact{
		evidence.F("Cpus_allowed_list", fmt.Sprintf("/proc/%d/status", pids[0]), in, out),
		evidence.F("ran on", fmt.Sprintf("/proc/%d/task/*/stat, field 39", pids[0]), strings.Join(slices.Compact(seen), ","), "not looked at"),
		evidence.F("effective in the group", g.CPUSet().EffectiveCPUs.Path, g.CPUSet().EffectiveCPUs.Value, out),
	}, ctx.Err()
}

// runningOn are the CPUs of all threads that are runnable (state R): field 39
// of a sleeping thread tells where it ran long ago.
func runningOn(pids []int) []string {
	var cpus []string
	for _, pid := range pids {
		paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, path := range paths {
			text, _ := os.ReadFile(path) // a thread that has just ended has nothing to show
			_, rest, _ := strings.Cut(string(text), ") ")
			if field := strings.Fields(rest); len(field) > 36 && field[0] == "R" {
				cpus = append(cpus, field[36])
			}
		}
	}
	return cpus
}
