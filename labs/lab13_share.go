package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo"
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
	// doubled is twice the weight that every group is born with.
	doubled = fixed(cgroupdemo.Spec{CPUWeight: ref(uint64(200))})
)

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
					lines = append(lines, fmt.Sprintf("taskset -c %d sh -c 'while :; do :; done' & echo $! > %s.pid", oneCPUOf(), l.name), l.moveLine(b, l.name))
				}
				return lines
			},
			Tools: []bench.Tool{bench.Mkdir, bench.Taskset, bench.Cat},
		},
		Look: []bench.View{{Title: "who gets how much of the one CPU, measured for a second", Read: readShares}},
		Expect: []evidence.Expectation{
			evidence.Becomes("two groups with equal weights get equal parts", "gold to silver", evidence.Between(0.75, 1.33)),
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

// startBoth starts a busy loop in each group, both on one CPU.
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
		work(h, cgroupdemo.RequestBurn, cgroupdemo.BurnArgs{Threads: 1, For: long})
	}
	return nil
}

// pin binds every thread of a process to one CPU, sched_setaffinity(2). The
// threads that it makes later inherit that.
func pin(pid, cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	tids, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, path := range tids {
		tid, bad := strconv.Atoi(filepath.Base(path))
		if bad != nil {
			continue
		}
		if e := unix.SchedSetaffinity(tid, &set); e != nil && !errors.Is(e, unix.ESRCH) {
			err = errors.Join(err, fmt.Errorf("sched_setaffinity(%d, %d): %w", tid, cpu, e))
		}
	}
	return err
}

func priorityStep() bench.Step {
	return bench.Step{
		Name: "priority", Reproduces: []string{"cg-priority"},
		Do: goldGroup.setting(doubled),
		ByHand: bench.ByHand{Lines: func(b *bench.Bench) []string {
			return append(goldGroup.nameLines(b), goldGroup.setLines(b, doubled)...)
		}},
		Look: []bench.View{goldGroup.settings(doubled), {Title: "who gets how much of the one CPU, measured for a second", Read: readShares}},
		Expect: []evidence.Expectation{
			evidence.Becomes("with weights 2 to 1 the CPU is split about 2 to 1", "gold to silver", evidence.Between(1.55, 2.6)),
		},
	}
}

// readShares reads both groups' accounts twice, a second apart.
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
	g0, s0, begin := gold.CPU().Total, silver.CPU().Total, time.Now()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Second):
	}
	g1, s1, wall := gold.CPU().Total, silver.CPU().Total, time.Since(begin)
	if err := errors.Join(g0.Err, s0.Err, g1.Err, s1.Err); err != nil {
		return nil, err
	}
	g, s := (g1.Value - g0.Value).Seconds(), (s1.Value - s0.Value).Seconds()
	if s == 0 {
		return nil, fmt.Errorf("the group silver used no CPU time in %v", wall)
	}
	return []evidence.Fact{
		evidence.F("gold", g1.Path+" over wall time", percent(g/wall.Seconds())),
		evidence.F("silver", s1.Path+" over wall time", percent(s/wall.Seconds())),
		evidence.F("gold to silver", "one divided by the other", fmt.Sprintf("%.2f", g/s)),
	}, nil
}

var iceGroup = labGroup{name: "ice", controllers: []cgroupdemo.Controller{cgroupdemo.Freezer}}

func countStep() bench.Step {
	return bench.Step{
		Name:   "count",
		Intend: iceGroup.intend,
		Do:     startCounting,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				program := `n=0; while :; do n=$((n+1)); echo $n 1<> count; sleep 0.01; done`
				return append(iceGroup.createLines(b), iceGroup.inGroup(b, program)+" & echo $! > counter.pid", "until [ -s count ]; do sleep 0.01; done")
			},
			Tools: []bench.Tool{bench.Mkdir, bench.Sleep},
		},
		Look: []bench.View{{Title: "a counting process", Read: readCounting}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the process counts", "counted while we looked", evidence.AtLeast(1)),
			evidence.Becomes("its group is not frozen", "state", evidence.Equals(cgroupdemo.Thawed)),
		},
	}
}

// thawing is a process that has to be thawed before it can end: version 1's
// freezer keeps even SIGKILL waiting.
type thawing struct {
	bench.Subject
	group *cgroupdemo.Group
}

func (t thawing) Close() error {
	return errors.Join(t.group.Thaw(context.Background()), t.Subject.Close())
}

// startCounting starts a process that counts into a file.
func startCounting(ctx context.Context, b *bench.Bench) error {
	if err := iceGroup.create(ctx, b); err != nil {
		return err
	}
	h, err := iceGroup.enter(ctx, b)
	if err != nil {
		return err
	}
	g, _, err := iceGroup.open(b)
	if err != nil {
		return errors.Join(err, h.Close())
	}
	if err := b.Keep("counter", thawing{h, g}); err != nil {
		return err
	}
	work(h, cgroupdemo.RequestCount, cgroupdemo.CountArgs{Path: b.Path("count"), For: long})
	return waitFor(ctx, "the count has begun", func() bool { n, err := readCount(b); return err == nil && n > 0 })
}

// readCount reads the counter: a number of 8 bytes in a file that the process
// shares with us by mmap(2), or the digits that a shell loop writes.
func readCount(b *bench.Bench) (uint64, error) {
	text, err := os.ReadFile(b.Path("count"))
	if err != nil {
		return 0, err
	}
	var n uint64
	if _, err := fmt.Sscanf(string(text), "%d\n", &n); err == nil && text[len(text)-1] == '\n' {
		return n, nil
	}
	r := cgroupdemo.ReadCount(b.Path("count"))
	return r.Value, r.Err
}

func freezeStep() bench.Step {
	return bench.Step{
		Name: "freeze", Reproduces: []string{"cg-freeze"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			g, _, err := iceGroup.open(b)
			if err != nil {
				return err
			}
			return g.Freeze(ctx)
		},
		ByHand: freezerByHand("FROZEN", "1"),
		Look:   []bench.View{{Title: "a counting process", Read: readCounting}, {Title: "the freezer's files", Columns: []string{"says"}, Read: readFreezer}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the kernel says that every process of the group has stopped", "state", evidence.Equals(cgroupdemo.Frozen)),
			evidence.Becomes("the count stands still", "counted while we looked", evidence.Equals("0")),
			evidence.Keeps("the process is still there, and in its group", "the process"),
		},
	}
}

func thawStep() bench.Step {
	return bench.Step{
		Name: "thaw", Reproduces: []string{"cg-freeze"},
		Do: func(ctx context.Context, b *bench.Bench) error {
			g, _, err := iceGroup.open(b)
			if err != nil {
				return err
			}
			return g.Thaw(ctx)
		},
		ByHand: freezerByHand("THAWED", "0"),
		Look:   []bench.View{{Title: "a counting process", Read: readCounting}, {Title: "the freezer's files", Columns: []string{"says"}, Read: readFreezer}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the group is thawed", "state", evidence.Equals(cgroupdemo.Thawed)),
			evidence.Becomes("the count goes on from where it stood", "counted while we looked", evidence.AtLeast(1)),
		},
	}
}

// freezerByHand writes the word of version 1 or the digit of version 2 and
// waits until the kernel reports that it is so.
func freezerByHand(word, digit string) bench.ByHand {
	return bench.ByHand{
		Lines: func(b *bench.Bench) []string {
			dir := iceGroup.dirOf(b, cgroupdemo.Freezer)
			lines := iceGroup.nameLines(b)
			if iceGroup.versionOf(b, cgroupdemo.Freezer) == cgroupdemo.V1 {
				return append(lines, "echo "+word+" > "+dir+"/freezer.state",
					"until grep -q "+word+" "+dir+"/freezer.state; do sleep 0.01; done")
			}
			return append(lines, "echo "+digit+" > "+dir+"/cgroup.freeze",
				"until grep -q 'frozen "+digit+"' "+dir+"/cgroup.events; do sleep 0.01; done")
		},
		Tools: []bench.Tool{{Program: "grep", Package: "grep"}, bench.Sleep},
	}
}

// readCounting reads the counter twice, and the state.
func readCounting(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	g, _, err := iceGroup.open(b)
	if err != nil {
		return nil, err
	}
	pids, err := g.Processes()
	if err != nil {
		return nil, err
	}
	first, err := readCount(b)
	if err != nil {
		return nil, err
	}
	// A slow machine may need a while to count; what is frozen or gone will not.
	patience := 300 * time.Millisecond
	if g.FreezerState().Value == cgroupdemo.Thawed && len(pids) > 0 {
		patience = 3 * time.Second
	}
	second, err := countAfter(ctx, b, first, patience)
	if err != nil {
		return nil, err
	}
	where := evidence.Absent
	if pid, err := b.Pid("counter"); err == nil && slices.Contains(pids, pid) {
		where = "in the group"
	}
	return []evidence.Fact{
		evidence.F("count", "the file count", fmt.Sprint(second)),
		evidence.F("counted while we looked", "the file count, twice", fmt.Sprint(second-first)),
		reading("state", g.FreezerState()),
		evidence.F("the process", "counter.pid and cgroup.procs", where),
		evidence.F("processes in the group", g.Places[0].Dir+"/cgroup.procs", fmt.Sprint(len(pids))),
	}, err
}

// countAfter looks again until the counter has moved, or patience ends.
func countAfter(ctx context.Context, b *bench.Bench, first uint64, patience time.Duration) (uint64, error) {
	for end := time.Now().Add(patience); ; {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		n, err := readCount(b)
		if err != nil || n != first || time.Now().After(end) {
			return n, err
		}
	}
}

// readFreezer shows the files of both versions, as far as they are here.
func readFreezer(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	g, _, err := iceGroup.open(b)
	if err != nil {
		return nil, err
	}
	var facts []evidence.Fact
	for _, p := range g.Places {
		files := []string{"freezer.state"}
		if p.Version == cgroupdemo.V2 {
			files = []string{"cgroup.freeze", "cgroup.events"}
		}
		for _, file := range files {
			facts = append(facts, reading(file, cgroupdemo.ReadText(p.Dir, file)))
		}
	}
	return facts, nil
}

func killGroupStep() bench.Step {
	return bench.Step{
		Name: "kill", Extra: true, Needs: needs("cgroup.kill"),
		Do: func(ctx context.Context, b *bench.Bench) error {
			g, _, err := iceGroup.open(b)
			if err != nil {
				return err
			}
			return errors.Join(os.WriteFile(filepath.Join(g.Places[0].Dir, "cgroup.kill"), []byte("1"), 0),
				waitFor(ctx, "the group is empty", func() bool { pids, err := g.Processes(); return err == nil && len(pids) == 0 }))
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				dir := iceGroup.dirOf(b, cgroupdemo.Core)
				return append(iceGroup.nameLines(b), "echo 1 > "+dir+"/cgroup.kill", "while grep -q . "+dir+"/cgroup.procs; do sleep 0.01; done")
			},
			Tools: []bench.Tool{{Program: "grep", Package: "grep"}, bench.Sleep},
		},
		Look: []bench.View{{Title: "a counting process", Read: readCounting}},
		Expect: []evidence.Expectation{
			evidence.Becomes("one write ended every process of the group", "processes in the group", evidence.Equals("0")),
			evidence.Becomes("nobody counts any more", "counted while we looked", evidence.Equals("0")),
		},
	}
}
