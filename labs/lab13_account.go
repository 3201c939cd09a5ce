package labs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"cutaway/cgroupdemo"
	"cutaway/cgroupdemo/workload"
	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

var billGroup = labGroup{name: "bill", controllers: []cgroupdemo.Controller{cgroupdemo.CPUAcct, cgroupdemo.Memory, cgroupdemo.PIDs}}

// takenBytes is what the program of the account step takes and keeps.
const takenBytes = 32 << 20

func accountStep() bench.Step {
	return bench.Step{
		Name: "account", Reproduces: []string{"cg-account"},
		Intend: billGroup.intend,
		Do:     workAndSay,
		ByHand: bench.ByHand{
			Lines: accountLines,
			Tools: append([]bench.Tool{bench.Mkdir, bench.Sleep, bench.Cat, {Program: "grep", Package: "grep"}, {Program: "wc", Package: "coreutils"}}, eatTools...),
		},
		Look: []bench.View{{Title: "the group's bill and the program's own words", Columns: []string{"the bill", "the program says", "counters of its processes"}, Read: readBill}},
		Expect: []evidence.Expectation{
			chargedCPU(),
			near("it was charged the memory that the program says it took", "memory, anonymous, MiB", 0.9, 1.6, 8),
			near("it lists the processes that the program says there are", "processes", 1, 1, 0),
			evidence.Custom("time in the program itself and time in the kernel for it add up to the whole", []string{"CPU time, ms", "of it user, ms", "of it system, ms"},
				func(o evidence.Observed) evidence.Verdict {
					whole, okW := evidence.Number(o.After.Value("CPU time, ms"))
					user, okU := evidence.Number(o.After.Value("of it user, ms"))
					system, okS := evidence.Number(o.After.Value("of it system, ms"))
					off := math.Abs(user + system - whole)
					return evidence.Judged(okW && okU && okS && whole > 0 && off <= whole*0.2+30, fmt.Sprintf("about %g ms", whole), fmt.Sprintf("%g and %g ms", user, system))
				}),
		},
	}
}

// chargedCPU holds the bill between two other sources: the program speaks of
// its computing alone, its processes' own counters of everything that they did,
// some of it before they came into the group.
func chargedCPU() evidence.Expectation {
	const fact = "CPU time, ms"
	return evidence.Custom("the group was charged the CPU time that the program says it used, and no more than its processes' own counters say", []string{fact},
		func(o evidence.Observed) evidence.Verdict {
			bill, okB := evidence.Number(o.After.Column(fact, 0))
			said, okS := evidence.Number(o.After.Column(fact, 1))
			own, okO := evidence.Number(o.After.Column(fact, 2))
			lo, hi := said*0.8, own*1.2+50
			return evidence.Judged(okB && okS && okO && said > 0 && bill >= lo && bill <= hi, fmt.Sprintf("%s from %.0f to %.0f", fact, lo, hi), o.After.Column(fact, 0))
		})
}

// near claims that the bill is close to what the program says.
func near(claim, fact string, lo, hi, slack float64) evidence.Expectation {
	return evidence.Custom(claim, []string{fact}, func(o evidence.Observed) evidence.Verdict {
		bill, okB := evidence.Number(o.After.Column(fact, 0))
		said, okS := evidence.Number(o.After.Column(fact, 1))
		ok := okB && okS && said > 0 && bill >= said*lo && bill <= said*hi+slack
		return evidence.Judged(ok, fmt.Sprintf("%s from %g to %g", fact, said*lo, said*hi+slack), o.After.Column(fact, 0))
	})
}

// workAndSay has a process compute, take memory and say what it did.
func workAndSay(ctx context.Context, b *bench.Bench) error {
	if err := billGroup.create(ctx, b); err != nil {
		return err
	}
	h, err := billGroup.start(ctx, b, "worker")
	if err != nil {
		return err
	}
	var burned workload.Burned
	if err := h.Call(ctx, workload.RequestBurn, workload.BurnArgs{Threads: 1, For: 400 * time.Millisecond}, &burned); err != nil {
		return err
	}
	work(h, workload.RequestAllocate, workload.AllocateArgs{Bytes: takenBytes, Hold: long})
	g, _, err := billGroup.open(b)
	if err != nil {
		return err
	}
	said := fmt.Sprintf("cpu_ms %d\nmemory_mib %d\nprocesses 1\n", (burned.User + burned.System).Milliseconds(), takenBytes>>20)
	return errors.Join(os.WriteFile(b.Path("worker.said"), []byte(said), 0o644),
		waitFor(ctx, "the memory is taken", func() bool { return g.Memory().Anon.Value >= takenBytes }))
}

// accountLines: the shell computes, looks up its own CPU time in ticks of 10
// ms, and has tail(1) keep the memory.
func accountLines(b *bench.Bench) []string {
	program := fmt.Sprintf("i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done; set -- $(cat /proc/$$/stat); "+
		"{ echo cpu_ms $(((${14}+${15})*10)); echo memory_mib %d; echo processes 3; } > worker.said; "+
		"{ head -c %d /dev/zero; exec sleep 1000; } | tail > /dev/null", takenBytes>>20, takenBytes)
	return append(billGroup.createLines(b), billGroup.inGroup(b, program)+" & echo $! > worker.pid",
		"until grep -qE '^(total_rss|anon) (3[3-9]|[4-9].)[0-9]{6}$' "+billGroup.dirOf(b, cgroupdemo.Memory)+"/memory.stat && [ $(wc -l < "+billGroup.dirOf(b, cgroupdemo.PIDs)+"/cgroup.procs) -eq 3 ]; do sleep 0.05; done",
		"cat worker.said")
}

// readBill puts the group's accounts beside what the program wrote down.
func readBill(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	g, _, err := billGroup.open(b)
	if err != nil {
		return nil, err
	}
	said := map[string]string{}
	text, err := os.ReadFile(b.Path("worker.said"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			said[key] = value
		}
	}
	pids, err := g.Processes()
	if err != nil {
		return nil, err
	}
	cpu, memory := g.CPU(), g.Memory()
	const silent = "nothing"
	row := func(name, from string, bill int64, says string) evidence.Fact {
		return evidence.F(name, from, fmt.Sprint(bill), says, silent)
	}
	return []evidence.Fact{
		evidence.F("CPU time, ms", cpu.Total.Path+", /proc/PID/stat", fmt.Sprint(cpu.Total.Value.Milliseconds()), said["cpu_ms"], fmt.Sprint(ownCounters(pids))),
		row("of it user, ms", cpu.User.Path, cpu.User.Value.Milliseconds(), silent),
		row("of it system, ms", cpu.System.Path, cpu.System.Value.Milliseconds(), silent),
		row("memory, anonymous, MiB", memory.Anon.Path, int64(memory.Anon.Value>>20), said["memory_mib"]),
		row("memory, file pages, MiB", memory.File.Path, int64(memory.File.Value>>20), silent),
		row("memory, the kernel's own, KiB", memory.Kernel.Path, int64(memory.Kernel.Value>>10), silent),
		row("processes", g.Places[0].Dir+"/cgroup.procs", int64(len(pids)), said["processes"]),
		row("tasks (threads too)", g.PIDs().Current.Path, int64(g.PIDs().Current.Value), silent),
	}, nil
}

// ownCounters adds up the CPU time that the kernel keeps for each process and
// for the children that it has waited for, in milliseconds: fields 14 to 17 of
// /proc/PID/stat, in ticks of 10 ms.
func ownCounters(pids []int) int {
	sum := 0
	for _, pid := range pids {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // one that has ended counts no more
		_, rest, _ := strings.Cut(string(text), ") ")
		if field := strings.Fields(rest); len(field) > 14 {
			for _, ticks := range field[11:15] {
				n, _ := strconv.Atoi(ticks)
				sum += n * 10
			}
		}
	}
	return sum
}
