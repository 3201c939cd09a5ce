package labs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo"
	"cutaway/cgroupdemo/workload"
	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// shareLab is lab 13: reading the bill, sharing a CPU by weight, freezing.
func shareLab() bench.Lab {
	return bench.Lab{ID: "13", Name: "share", Needs: needs("cgroup.delegation"), Steps: []bench.Step{
		accountStep(),
		equalStep(),
		priorityStep(),
		countStep(),
		freezeStep(),
		thawStep(),
		killGroupStep(),
	}}
}

var (
	goldGroup   = labGroup{name: "gold", controllers: cpuTime}
	silverGroup = labGroup{name: "silver", controllers: cpuTime}
)

// doubled is twice the weight that every group is born with.
func doubled(*bench.Bench) (cgroupdemo.Spec, error) {
	return cgroupdemo.Spec{CPUWeight: ref(uint64(200))}, nil
}

func equalStep() bench.Step {
	return bench.Step{
		Name:   "equal",
		Intend: intendAll(goldGroup, silverGroup),
		Do:     startBoth,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				var lines []string
				for _, l := range []labGroup{goldGroup, silverGroup} {
					lines = append(lines, l.createLines(b)...)
					lines = append(lines, busyLine(l.name), l.moveLine(b, l.name),
						fmt.Sprintf("taskset -p -c %d $(cat %s.pid)", oneCPUOf(), l.name))
				}
				return lines
			},
			Tools: []bench.Tool{bench.Mkdir, bench.Taskset, bench.Cat},
		},
		Look: []bench.View{{Title: "who gets how much of the one CPU, measured", Read: readShares}},
		Expect: []evidence.Expectation{
			evidence.Becomes("two groups with equal weights get equal parts", "gold to silver", evidence.Between(0.75, 1.33)),
			evidence.Custom("together they use no more than the one CPU that both wait for", []string{"gold", "silver"}, func(o evidence.Observed) evidence.Verdict {
				gold, okG := evidence.Number(o.After.Value("gold"))
				silver, okS := evidence.Number(o.After.Value("silver"))
				return evidence.Judged(okG && okS && gold+silver < 115, "at most 100 % together", o.After.Value("gold")+" and "+o.After.Value("silver"))
			}),
		},
	}
}

// oneCPUOf is the CPU for both loops: only who waits for the same CPU shares it.
func oneCPUOf() int {
	all := allowedCPUs()
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1]
}

// startBoth starts a busy loop in each group, both on one CPU. The binding comes
// after the move: where version 2 has cpusets, a move gives a process the CPUs
// of its new group and forgets what it was bound to.
func startBoth(ctx context.Context, b *bench.Bench) error {
	for _, l := range []labGroup{goldGroup, silverGroup} {
		if err := l.create(ctx, b); err != nil {
			return err
		}
		h, err := l.start(ctx, b, l.name)
		if err != nil {
			return err
		}
		if err := pin(h.Pid(), oneCPUOf()); err != nil {
			return err
		}
		work(h, workload.RequestBurn, workload.BurnArgs{Threads: 1, For: long})
	}
	return nil
}

// pin binds every thread of a process to one CPU, sched_setaffinity(2). A thread
// that is being made while we go round may be missing from the list, free of the
// binding, and later be the one that works. So it goes round until a whole round
// finds nothing to bind: from then on every thread has a bound parent.
func pin(pid, cpu int) error {
	var one unix.CPUSet
	one.Set(cpu)
	for free := 1; free > 0; {
		free = 0
		tids, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		if err != nil {
			return err
		}
		for _, path := range tids {
			tid, _ := strconv.Atoi(filepath.Base(path))
			bound, err := bind(tid, &one)
			if err != nil {
				return err
			}
			if !bound {
				free++
			}
		}
	}
	return nil
}

// bind gives a thread its CPUs and says whether it had just these before. A
// thread that has ended needs none.
func bind(tid int, want *unix.CPUSet) (before bool, err error) {
	var has unix.CPUSet
	if err = unix.SchedGetaffinity(tid, &has); err == nil && has != *want {
		err = unix.SchedSetaffinity(tid, want)
	}
	if errors.Is(err, unix.ESRCH) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("binding thread %d to its CPU: %w", tid, err)
	}
	return has == *want, nil
}

func priorityStep() bench.Step {
	return bench.Step{
		Name: "priority", Reproduces: []string{"cg-priority"},
		Do: goldGroup.setting(doubled),
		ByHand: bench.ByHand{Lines: func(b *bench.Bench) []string {
			return append(goldGroup.nameLines(b), goldGroup.setLines(b, doubled)...)
		}},
		Look: []bench.View{goldGroup.settings(doubled), {Title: "who gets how much of the one CPU, measured", Read: readShares}},
		Expect: []evidence.Expectation{
			evidence.Becomes("with weights 2 to 1 the CPU is split about 2 to 1", "gold to silver", evidence.Between(1.55, 2.6)),
		},
	}
}

// readShares reads both groups' accounts until two readings agree about the
// ratio. On a machine that gives us its CPUs by fits and starts (our own reading
// is late) that says nothing, and only time evens things out.
func readShares(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	gold, _, err := goldGroup.open(b)
	if err != nil {
		return nil, err
	}
	silver, _, err := silverGroup.open(b)
	if err != nil {
		return nil, err
	}
	if _, err := b.Pid("silver"); err != nil {
		return nil, err
	}
	begin, ratio, late := readTwo(gold, silver), 0.0, false
	for end := begin; ; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(450 * time.Millisecond):
		}
		last := end
		end = readTwo(gold, silver)
		if end.err != nil {
			return nil, end.err
		}
		ratio = end.ratioSince(begin)
		wall := end.at.Sub(begin.at)
		late = late || end.at.Sub(last.at) > 600*time.Millisecond
		agree := !late && last != begin && math.Abs(end.ratioSince(last)/ratio-1) < 0.15
		if !agree && wall < 6*time.Second {
			continue
		}
		return []evidence.Fact{
			evidence.F("gold", gold.CPU().Total.Path+" over wall time", percent((end.gold-begin.gold).Seconds()/wall.Seconds())),
			evidence.F("silver", silver.CPU().Total.Path+" over wall time", percent((end.silver-begin.silver).Seconds()/wall.Seconds())),
			evidence.F("gold to silver", "one divided by the other", fmt.Sprintf("%.2f", ratio)),
		}, nil
	}
}

// twoAccounts is the CPU time of both groups at one moment.
type twoAccounts struct {
	gold, silver time.Duration
	at           time.Time
	err          error
}

func readTwo(gold, silver *cgroupdemo.Group) twoAccounts {
	g, s := gold.CPU().Total, silver.CPU().Total
	return twoAccounts{g.Value, s.Value, time.Now(), errors.Join(g.Err, s.Err)}
}

// ratioSince is infinite or not a number where silver used nothing.
func (t twoAccounts) ratioSince(earlier twoAccounts) float64 {
	return (t.gold - earlier.gold).Seconds() / (t.silver - earlier.silver).Seconds()
}
