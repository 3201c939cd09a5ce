package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cutaway/cgroupdemo"
	"cutaway/cgroupdemo/workload"
	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

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
	work(h, workload.RequestCount, workload.CountArgs{Path: b.Path("count"), For: long})
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
	return workload.ReadCount(b.Path("count"))
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
