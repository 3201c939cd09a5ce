package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/cgroupdemo"
	"cutaway/cgroupdemo/workload"
	"cutaway/internal/evidence"
	"cutaway/internal/inside"
	"cutaway/labs/bench"
)

// memoryLab is lab 12: a program that fits into its limit, and one that does not.
func memoryLab() bench.Lab {
	return bench.Lab{ID: "12", Name: "memory", Needs: needs("cgroup.delegation"), Steps: []bench.Step{
		memoryLimitStep(),
		memoryFitStep(),
		memoryKillStep(),
		memoryHighStep(),
		memoryContainerStep(),
	}}
}

var boxGroup = labGroup{name: "box", controllers: []cgroupdemo.Controller{cgroupdemo.Memory}}

// memoryMiB is the limit: 256 MiB, or an eighth of what the machine can spare,
// or the learner's choice (--set mib=NUMBER).
func memoryMiB(b *bench.Bench) (int64, error) {
	spare := int64(8 << 10)
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		spare = meminfoMiB(string(text), "MemAvailable", spare)
	}
	word := b.Param("mib", fmt.Sprint(min(256, spare/8&^15)))
	mib, err := strconv.ParseInt(word, 10, 64)
	if err != nil || mib < 16 {
		return 0, fmt.Errorf("mib=%s: want the limit in MiB, a number from 16 up", word)
	}
	return mib, nil
}

// boxLimit limits memory, and swap with it: pages that may be swapped out are
// not held by a memory limit alone.
func boxLimit(b *bench.Bench) (cgroupdemo.Spec, error) {
	mib, err := memoryMiB(b)
	if err != nil {
		return cgroupdemo.Spec{}, err
	}
	bytes := mib << 20
	memory := &specs.LinuxMemory{Limit: &bytes}
	if boxHasSwapFile(b) {
		memory.Swap = &bytes
	}
	return cgroupdemo.Spec{LinuxResources: specs.LinuxResources{Memory: memory}}, nil
}

// boxHasSwapFile: a kernel that does not account swap has no file for it. The
// group above has the same files and is there before ours is.
func boxHasSwapFile(b *bench.Bench) bool {
	g, _, err := boxGroup.open(b)
	if err != nil {
		return false
	}
	p, err := g.Place(cgroupdemo.Memory)
	if err != nil {
		return false
	}
	if p.Version == cgroupdemo.V1 {
		_, err = os.Stat(filepath.Join(p.Base, "memory.memsw.limit_in_bytes"))
		return err == nil
	}
	swaps, _ := os.ReadFile("/proc/swaps") // the top of version 2 has no memory files to look at
	return len(swaps) > 0
}

func memoryLimitStep() bench.Step {
	return bench.Step{
		Name:   "limit",
		Intend: boxGroup.intend,
		Do: func(ctx context.Context, b *bench.Bench) error {
			if err := boxGroup.create(ctx, b); err != nil {
				return err
			}
			return boxGroup.set(b, boxLimit)
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return append(boxGroup.createLines(b), boxGroup.setLines(b, boxLimit)...)
			},
			Tools: []bench.Tool{bench.Mkdir},
		},
		Look: []bench.View{boxGroup.settings(boxLimit), {Title: "the limit", Read: readBox}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the kernel has the limit that was chosen", "limit, MiB", evidence.Param("mib")),
			evidence.Becomes("nothing was killed in this group so far", "OOM kills", evidence.Equals("0")),
		},
	}
}

func memoryFitStep() bench.Step {
	return bench.Step{
		Name: "fit", Reproduces: []string{"cg-mem-fit"},
		Do:     func(ctx context.Context, b *bench.Bench) error { return eat(ctx, b, 50) },
		ByHand: eatByHand(50),
		Look:   []bench.View{{Title: "the group's memory", Read: readBox}, {Title: "the program", Read: readEater}},
		Expect: []evidence.Expectation{
			evidence.Becomes("a program that takes half the limit completes", "exit status", evidence.Equals("0")),
			evidence.Becomes("at its peak the group had about half its limit", "peak, % of the limit", evidence.Between(47, 75)),
			evidence.AlwaysIs("nothing was killed", "OOM kills", evidence.Equals("0")),
		},
	}
}

func memoryKillStep() bench.Step {
	return bench.Step{
		Name: "kill", Reproduces: []string{"cg-mem-kill"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			if _, err := boxGroup.start(ctx, b, "bystander"); err != nil {
				return err
			}
			return eat(ctx, b, 150)
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				lines := append(boxGroup.nameLines(b), "sleep 1000 & echo $! > bystander.pid", boxGroup.moveLine(b, "bystander"))
				return append(lines, eatLine(b, 150))
			},
			Tools: append(eatTools, bench.Sleep, bench.Cat),
		},
		Look: []bench.View{{Title: "the group's memory", Read: readBox}, {Title: "the program", Read: readEater}, {Title: "a small program in the same group", Read: readBystander}},
		Expect: []evidence.Expectation{
			evidence.Becomes("a program that takes 1.5 times the limit is ended by signal 9 (status 128 + 9)", "exit status", evidence.Equals("137")),
			evidence.Becomes("the kernel counts one OOM kill in the group: that process and nothing else", "OOM kills", evidence.Equals("1")),
			evidence.Becomes("the group's memory rose to its limit and no further", "peak, % of the limit", evidence.Between(95, 103)),
			evidence.Becomes("the small program beside it lives on", "bystander", evidence.Equals("alive")),
		},
	}
}

// eat starts a program in the box that takes a part of the limit, and writes
// down how it ended, in the numbers of the shell's $?.
func eat(ctx context.Context, b *bench.Bench, part int64) error {
	mib, err := memoryMiB(b)
	if err != nil {
		return err
	}
	h, err := boxGroup.enter(ctx, b)
	if err != nil {
		return err
	}
	defer h.Close()
	err = h.Call(ctx, workload.RequestAllocate, workload.AllocateArgs{Bytes: int(mib<<20) * int(part) / 100, Step: 4 << 20}, nil)
	status := 0
	var gone *inside.Gone
	if errors.As(err, &gone) && gone.State != nil {
		err, status = nil, 128+int(gone.State.Sys().(syscall.WaitStatus).Signal())
	}
	if err != nil {
		return err
	}
	return os.WriteFile(b.Path("eater.status"), []byte(fmt.Sprintln(status)), 0o644)
}

var eatTools = []bench.Tool{{Program: "head", Package: "coreutils"}, {Program: "tail", Package: "coreutils"}}

func eatByHand(part int64) bench.ByHand {
	return bench.ByHand{
		Lines: func(b *bench.Bench) []string { return append(boxGroup.nameLines(b), eatLine(b, part)) },
		Tools: eatTools,
	}
}

// eatLine uses tail(1) as the eater: it keeps the last ten lines of what it
// reads, and zeros have no line end.
func eatLine(b *bench.Bench, part int64) string {
	mib, err := memoryMiB(b)
	if err != nil {
		return "false # " + err.Error()
	}
	program := fmt.Sprintf("head -c %d /dev/zero | tail > /dev/null", mib<<20*part/100)
	return boxGroup.inGroup(b, program) + "; echo $? > eater.status"
}

// readBox reads the group's limit, use and kills.
func readBox(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	g, _, err := boxGroup.open(b)
	if err != nil {
		return nil, err
	}
	m := g.Memory()
	if m.Limit.Err != nil {
		return nil, m.Limit.Err
	}
	facts := []evidence.Fact{
		evidence.F("limit, MiB", m.Limit.Path, fmt.Sprint(m.Limit.Value>>20)),
		evidence.F("use now, MiB", m.Usage.Path, fmt.Sprint(m.Usage.Value>>20)),
		reading("OOM kills", m.OOMKills),
	}
	if errors.Is(m.Peak.Err, os.ErrNotExist) {
		return facts, &evidence.CannotTest{Reason: "this kernel keeps no peak of a group's memory (memory.peak came with Linux 5.19)", WayOut: "cutaway lab --on vm"}
	}
	return append(facts, evidence.F("peak, % of the limit", m.Peak.Path, fmt.Sprintf("%.1f", 100*float64(m.Peak.Value)/float64(m.Limit.Value)))), m.Peak.Err
}

// readEater tells how the program ended.
func readEater(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	return []evidence.Fact{{Name: "exit status", From: "wait(2), in eater.status", Values: noted(b, "", "eater.status").Values}}, nil
}

func readBystander(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid("bystander")
	if err != nil {
		return nil, err
	}
	state, err := statusField(pid, "State")
	if err == nil && state[0] != 'Z' && state[0] != 'X' {
		state = "alive"
	}
	return []evidence.Fact{evidence.F("bystander", fmt.Sprintf("State of /proc/%d/status", pid), state)}, err
}
