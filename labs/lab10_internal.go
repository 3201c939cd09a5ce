package labs

import (
	"context"
	"os"
	"path/filepath"

	"cutaway/cgroupdemo"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
)

// internalStep shows a rule that only version 2 has: processes in leaves only.
func internalStep() bench.Step {
	return bench.Step{
		Name: "no-internal", Extra: true, Needs: needs("cgroup.delegation"),
		Intend: func(b *bench.Bench) ([]journal.Undo, error) { return innerGroup().intend(b) },
		Do:     tryToHandOn,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				l := innerGroup()
				return append(l.createLines(b),
					"sleep 1000 & echo $! > resident.pid", l.moveLine(b, "resident"),
					"! env echo +"+l.v2Name()+" > "+l.dirs(b)+"/cgroup.subtree_control 2> handon.said", "cat handon.said")
			},
			Tools: []bench.Tool{bench.Mkdir, bench.Sleep, {Program: "env", Package: "coreutils"}, bench.Cat},
		},
		Look: []bench.View{{Title: "handing a controller on", Read: readHandOn}},
		Expect: []evidence.Expectation{
			evidence.Becomes("a group with processes in it may not hand a controller on: EBUSY", "what the kernel said", evidence.Contains("or resource busy")),
			evidence.Becomes("nothing was handed on", "cgroup.subtree_control", evidence.Equals("")),
		},
	}
}

// innerGroup has a controller that version 2 serves here: on a pure version 2
// machine the memory controller, on a hybrid one whatever version 1 left over.
// Controllers for threads (cpu, pids) would not do: they are exempt from the rule.
func innerGroup() labGroup {
	for _, c := range []cgroupdemo.Controller{cgroupdemo.Memory, cgroupdemo.IO, cgroupdemo.HugeTLB, cgroupdemo.RDMA} {
		if hs, err := cgroupdemo.Read("/proc"); err == nil && hs.VersionOf(c) == cgroupdemo.V2 {
			return labGroup{name: "inner", controllers: []cgroupdemo.Controller{c}}
		}
	}
	return labGroup{name: "inner", controllers: []cgroupdemo.Controller{cgroupdemo.Memory},
		use: map[cgroupdemo.Controller]cgroupdemo.Version{cgroupdemo.Memory: cgroupdemo.V2}}
}

func (l labGroup) v2Name() string { return l.controllers[0].NameIn(cgroupdemo.V2) }

// tryToHandOn puts a process into a group and then writes the group's
// cgroup.subtree_control.
func tryToHandOn(ctx context.Context, b *bench.Bench) error {
	l := innerGroup()
	if err := l.create(ctx, b); err != nil {
		return err
	}
	if _, err := l.start(ctx, b, "resident"); err != nil {
		return err
	}
	g, _, err := l.open(b)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(g.Places[0].Dir, "cgroup.subtree_control"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString("+" + l.v2Name())
	return note(b, "handon.said", err)
}

func readHandOn(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	g, _, err := innerGroup().open(b)
	if err != nil {
		return nil, err
	}
	dir := g.Places[0].Dir
	return []evidence.Fact{
		noted(b, "what the kernel said", "handon.said"),
		reading("cgroup.procs", cgroupdemo.ReadText(dir, "cgroup.procs")),
		reading("cgroup.controllers", cgroupdemo.ReadText(dir, "cgroup.controllers")),
		reading("cgroup.subtree_control", cgroupdemo.ReadText(dir, "cgroup.subtree_control")),
	}, nil
}
