package labs

import (
	"context"
	"fmt"
	"os"
	"strings"

	"cutaway/cgroupdemo"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// cgroupnsLab is lab 07: where a control group's path begins. What its views
// read stands in lab07_paths.go.
func cgroupnsLab() bench.Lab {
	return bench.Lab{ID: "07", Name: "cgroupns", Needs: needs("ns.cgroup"), Steps: []bench.Step{
		cgroupnsGroupStep(),
		cgroupnsStartStep(),
		cgroupnsJoinStep(),
		cgroupnsEnterStep(),
	}}
}

// boxController picks the hierarchy of the group: version 2 where it is mounted
// (alone or beside version 1), else the one of version 1 that counts processes.
func boxController() cgroupdemo.Controller {
	if hs, err := cgroupdemo.Read("/proc"); err == nil {
		if _, ok := hs.In(cgroupdemo.Core, cgroupdemo.V2); ok {
			return cgroupdemo.Core
		}
	}
	return cgroupdemo.PIDs
}

// box is the group that the process is put into.
func box() labGroup {
	return labGroup{name: "box", controllers: []cgroupdemo.Controller{boxController()}}
}

// boxPlace says where the group is, or would be.
func boxPlace(b *bench.Bench) (cgroupdemo.Place, error) {
	g, _, err := box().open(b)
	if err != nil {
		return cgroupdemo.Place{}, err
	}
	return g.Place(boxController())
}

// boxDir is the folder of the group, or "" as long as there is none.
func boxDir(b *bench.Bench) string {
	place, err := boxPlace(b)
	if err != nil {
		return ""
	}
	if _, err := os.Stat(place.Dir); err != nil {
		return ""
	}
	return place.Dir
}

func cgroupnsGroupStep() bench.Step {
	return bench.Step{
		Name:   "group",
		Intend: intendBox,
		Do:     func(ctx context.Context, b *bench.Bench) error { return box().create(ctx, b) },
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string { return box().createLines(b) },
			Tools: []bench.Tool{bench.Mkdir},
		},
		Look: []bench.View{{Title: "the new control group", Read: readBoxMembers}},
		Expect: []evidence.Expectation{
			evidence.Becomes("there is a group, and no process is in it yet", "processes in the group", evidence.Equals("none")),
		},
	}
}

// intendBox has the folders in the journal before they are made, or says why
// none may be made here: a shell line that fails would not tell the two apart.
func intendBox(b *bench.Bench) ([]journal.Undo, error) {
	place, err := boxPlace(b)
	if err != nil {
		return nil, err
	}
	if err := cgroupdemo.Delegation(place.Version, place.Base); err != nil {
		return nil, asUntestable(err)
	}
	return box().intend(b)
}

// readBoxMembers reads who is in the group.
func readBoxMembers(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	dir := boxDir(b)
	if dir == "" {
		return nil, nil
	}
	file := dir + "/cgroup.procs"
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pids := strings.Join(strings.Fields(string(text)), " ")
	if pids == "" {
		pids = "none"
	}
	return []evidence.Fact{evidence.F("processes in the group", file, pids)}, nil
}

func cgroupnsStartStep() bench.Step {
	return bench.Step{
		Name: "start", Inside: inner,
		Reproduces: []string{"ns-cgroup-root"},
		Do:         startInBox,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				move := ""
				if dir := boxDir(b); dir != "" {
					move = "echo $$ > " + dir + "/cgroup.procs; "
				}
				return []string{
					"sh -c '" + move + "exec unshare --cgroup sleep 1000' & echo $! > inner.pid",
					waitUntilUnshared("cgroup"),
					"nsenter --target $(cat inner.pid) --cgroup cat /proc/$(cat inner.pid)/cgroup",
					"cat /proc/$(cat inner.pid)/cgroup",
				}
			},
			Tools: []bench.Tool{bench.Unshare, bench.Nsenter, bench.Cat, bench.Sleep},
		},
		Look: []bench.View{
			{Title: "namespace ids", Columns: []string{"inside", "host"}, Read: readIDs(nsdemo.Cgroup, nsdemo.Mnt)},
			{Title: "/proc/PID/cgroup of the process, read from two sides", Columns: []string{"inside", "host"}, Read: readInnerPaths},
			{Title: "the path of its group", Read: readInnerPath},
		},
		Expect: []evidence.Expectation{
			evidence.ColumnsDiffer("the process has a cgroup namespace of its own", "cgroup", 0, 1),
			evidence.Becomes("read inside, the path of its group is /", "path inside", evidence.Equals("/")),
			evidence.Becomes("read on the host, the path of the same group is the full one", "path on the host", evidence.Matches(`^/[^.]`)),
			evidence.Becomes("the full path is the true one: the group's folder lists the process", "the group's list", evidence.Equals("has the process")),
			evidence.Becomes("one namespace covers all hierarchies: inside, every path is /", "paths inside other than /", evidence.Equals("none")),
		},
	}
}

// startInBox puts the process into the group first, where there is one, since
// the group that a process is in becomes the root of its cgroup namespace.
func startInBox(ctx context.Context, b *bench.Bench) error {
	p, err := nsdemo.Start(ctx, nsdemo.Spec{Kinds: []nsdemo.Kind{nsdemo.Cgroup}, CgroupDir: boxDir(b)})
	if err != nil {
		return err
	}
	return b.Keep(inner, p)
}

// joiner is a process that enters namespaces of inner.
const joiner = "joiner"

func cgroupnsJoinStep() bench.Step {
	return bench.Step{
		Name: "join", Inside: joiner,
		Intend: needBox,
		Do: func(ctx context.Context, b *bench.Bench) error {
			pid, err := b.Pid(inner)
			if err != nil {
				return err
			}
			p, err := nsdemo.Join(ctx, pid, nsdemo.Cgroup)
			if err != nil {
				return err
			}
			return b.Keep(joiner, p)
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"nsenter --target $(cat inner.pid) --cgroup sleep 1000 & echo $! > joiner.pid",
				waitUntilJoined("cgroup")),
			Tools: []bench.Tool{bench.Nsenter, bench.Sleep},
		},
		Look: []bench.View{{Title: "the process that joined", Read: readJoinerPath}},
		Expect: []evidence.Expectation{
			evidence.Same("the second process is in the same cgroup namespace", "cgroup namespace of the joiner", "cgroup namespace of inner"),
			evidence.Becomes("but not in the same group: from the root of the namespace its path leads upwards", "path of the joiner, inside", evidence.Matches(`^/\.\.`)),
			evidence.Same("on the host it is where the lab is: setns(2) moves nobody between groups", "path of the joiner, on the host", "path of the lab itself"),
		},
	}
}

// waitUntilJoined is a shell line that waits until the background process of
// joiner.pid is in a namespace of inner.
func waitUntilJoined(kind string) string {
	return "until [ $(readlink /proc/$(cat joiner.pid)/ns/" + kind + ") = $(readlink /proc/$(cat inner.pid)/ns/" + kind + ") ]; do sleep 0.01; done"
}

// needBox makes nothing. It keeps steps from being performed that say nothing
// when everybody is in one group.
func needBox(b *bench.Bench) ([]journal.Undo, error) {
	if boxDir(b) != "" {
		return nil, nil
	}
	return nil, &evidence.CannotTest{
		Reason: "the process has no group of its own: the step group was not performed",
		WayOut: "run it as root: sudo cutaway lab 07",
	}
}

func cgroupnsEnterStep() bench.Step {
	return bench.Step{
		Name: "enter", Inside: joiner,
		Intend: needBox,
		Do: func(_ context.Context, b *bench.Bench) error {
			pid, err := b.Pid(joiner)
			if err != nil {
				return err
			}
			g, _, err := box().open(b)
			if err != nil {
				return err
			}
			return g.Attach(pid)
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return []string{fmt.Sprintf("cat joiner.pid > %s/cgroup.procs", boxDir(b))}
			},
			Tools: []bench.Tool{bench.Cat},
		},
		Look: []bench.View{{Title: "the process that joined", Read: readJoinerPath}},
		Expect: []evidence.Expectation{
			evidence.Becomes("now its path is /, too", "path of the joiner, inside", evidence.Equals("/")),
			evidence.Becomes("on the host it has left the lab's group for the one of inner", "path of the joiner, on the host", evidence.Matches("-box$")),
			evidence.Keeps("the namespace is the one that it was in before", "cgroup namespace of the joiner"),
		},
	}
}
