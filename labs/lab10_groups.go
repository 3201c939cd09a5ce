package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo"
	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// groupsLab is lab 10: what a control group is. Processes come in, their
// children are born there, limits of a parent bind, and folders are removed.
func groupsLab() bench.Lab {
	return bench.Lab{ID: "10", Name: "groups", Steps: []bench.Step{
		hierarchiesStep(),
		createStep(),
		enterStep(),
		busyGroupStep(),
		deleteStep(),
		inheritStep(),
		internalStep(),
	}}
}

// firstGroup is what most steps of this lab act on.
var firstGroup = labGroup{name: "first", controllers: []cgroupdemo.Controller{cgroupdemo.CPU, cgroupdemo.Memory, cgroupdemo.PIDs}}

func hierarchiesStep() bench.Step {
	return bench.Step{
		Name: "hierarchies", Reproduces: []string{"cg-hierarchies"},
		ByHand: bench.ByHand{
			Lines: bench.Lines("cat /proc/cgroups", "grep cgroup /proc/self/mountinfo", "cat /proc/self/cgroup"),
			Tools: []bench.Tool{bench.Cat, {Program: "grep", Package: "grep"}},
		},
		Look: []bench.View{
			{Title: "how this machine mixes the versions", Read: readMode},
			{Title: "controllers and their hierarchies", Columns: []string{"version", "hierarchy", "mount point", "groups"}, Read: readControllers},
		},
		Expect: []evidence.Expectation{
			evidence.Is("this machine has control groups: version 1, version 2 or both", "mode", evidence.OneOf("v1", "v2", "hybrid")),
			oneHierarchy("memory"), oneHierarchy("pids"),
		},
	}
}

// oneHierarchy claims what makes version 2 one tree: its number is always 0.
func oneHierarchy(controller string) evidence.Expectation {
	return evidence.Custom(controller+" is served by one hierarchy: number 0 for version 2, another for version 1", []string{controller},
		func(o evidence.Observed) evidence.Verdict {
			version, number := o.After.Column(controller, 0), o.After.Column(controller, 1)
			ok := version == "v2" && number == "0" || version == "v1" && number != "0" && number != evidence.Absent
			return evidence.Judged(ok, "v2 with number 0, or v1 with another", version+" with number "+number)
		})
}

// readMode looks at what is mounted.
func readMode(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	hs, err := cgroupdemo.Read("/proc")
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("mode", "grep cgroup /proc/self/mountinfo", string(hs.Mode()))}
	if hs.Mode() == cgroupdemo.ModeNone {
		return nil, &evidence.CannotTest{Reason: "no cgroup file system is mounted here", WayOut: "mount -t cgroup2 cgroup2 /sys/fs/cgroup"}
	}
	return facts, nil
}

// readControllers is the table of every controller that some hierarchy has.
func readControllers(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	hs, err := cgroupdemo.Read("/proc")
	if err != nil {
		return nil, err
	}
	var facts []evidence.Fact
	for _, row := range hs.Table() {
		if row.MountPoint == "" {
			continue
		}
		facts = append(facts, evidence.F(string(row.Controller), "/proc/cgroups, /proc/self/mountinfo",
			row.Version.String(), fmt.Sprint(row.Hierarchy), row.MountPoint, fmt.Sprint(row.Groups.Value)))
	}
	return facts, nil
}

func createStep() bench.Step {
	return bench.Step{
		Name: "create", Reproduces: []string{"cg-create"}, Needs: needs("cgroup.delegation"),
		Intend: firstGroup.intend,
		Do:     firstGroup.create,
		ByHand: bench.ByHand{Lines: firstGroup.createLines, Tools: []bench.Tool{bench.Mkdir}},
		Look: []bench.View{
			{Title: "the new folder", Read: firstGroup.readFolder},
			{Title: "files that the kernel put there", Columns: []string{"says", "meaning"}, Read: readGroupFiles},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("one mkdir was enough: the kernel filled the folder with files", "files", evidence.AtLeast(5)),
			evidence.Becomes("no process is in the new group", "cgroup.procs", evidence.Equals("")),
			evidence.Becomes("the number of processes has no limit yet", "pids.max", evidence.Equals("max")),
		},
	}
}

// readFolder tells whether the group is there, and how many files it has.
func (l labGroup) readFolder(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	g, _, err := l.open(b)
	if err != nil {
		return nil, err
	}
	dir := g.Places[len(g.Places)-1].Dir
	files, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return []evidence.Fact{evidence.F("folder", "ls -d "+dir, evidence.Absent)}, nil
	}
	return []evidence.Fact{
		evidence.F("folder", "ls -d "+dir, "there"),
		evidence.F("files", "ls "+dir+" | wc -l", fmt.Sprint(len(files))),
	}, err
}

// labFiles are the control files that labs use; a group has many more.
func labFiles() []string {
	return strings.Fields(`cgroup.procs tasks cgroup.controllers cgroup.subtree_control cgroup.events cgroup.freeze cgroup.kill
	cpu.shares cpu.cfs_quota_us cpu.cfs_period_us cpu.weight cpu.max cpu.stat
	memory.limit_in_bytes memory.usage_in_bytes memory.max_usage_in_bytes memory.oom_control memory.max memory.current memory.peak memory.events memory.high memory.stat
	pids.max pids.current pids.events`)
}

// readGroupFiles lists those files with what each means. A file that several
// hierarchies have is shown once.
func readGroupFiles(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	g, _, err := firstGroup.open(b)
	if err != nil {
		return nil, err
	}
	files, err := g.Files()
	var facts []evidence.Fact
	seen := map[string]bool{}
	for _, f := range files {
		if !slices.Contains(labFiles(), f.Name) || seen[f.Name] {
			continue
		}
		seen[f.Name] = true
		says, more, _ := strings.Cut(f.Value, "\n")
		switch {
		case f.Err != nil:
			says = "(write only)"
		case more != "":
			says += " ..."
		}
		facts = append(facts, evidence.F(f.Name, f.Path, says, f.Meaning))
	}
	return facts, err
}

func busyGroupStep() bench.Step {
	return bench.Step{
		Name: "remove-busy", Reproduces: []string{"cg-delete"}, Needs: needs("cgroup.delegation"),
		Do: tryToRemove,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return append(firstGroup.nameLines(b), "! rmdir "+firstGroup.dirOf(b, cgroupdemo.PIDs)+" 2> rmdir.said", "cat rmdir.said")
			},
			Tools: []bench.Tool{bench.Rmdir, bench.Cat},
		},
		Look: []bench.View{{Title: "rmdir of a group with processes in it", Read: readRemoval}},
		Expect: []evidence.Expectation{
			evidence.Becomes("rmdir is refused with EBUSY", "what rmdir said", evidence.Contains("or resource busy")),
			evidence.AlwaysIs("the group is still there", "folder", evidence.Equals("there")),
		},
	}
}

// tryToRemove calls rmdir(2) and writes down the answer, as the shell would.
func tryToRemove(_ context.Context, b *bench.Bench) error {
	g, _, err := firstGroup.open(b)
	if err != nil {
		return err
	}
	p, err := g.Place(cgroupdemo.PIDs)
	if err != nil {
		return err
	}
	return note(b, "rmdir.said", unix.Rmdir(p.Dir))
}

// note writes an error down in a file of the scratch folder, where `2> file`
// of a shell line puts a program's complaint.
func note(b *bench.Bench, file string, err error) error {
	text := "no complaint"
	if err != nil {
		text = err.Error()
	}
	return os.WriteFile(b.Path(file), []byte(text+"\n"), 0o644)
}

// noted reads such a file back as a fact.
func noted(b *bench.Bench, name, file string) evidence.Fact {
	text, err := os.ReadFile(b.Path(file))
	if err != nil {
		return evidence.F(name, "cat "+file, evidence.Absent)
	}
	return evidence.F(name, "cat "+file, strings.TrimSpace(string(text)))
}

func readRemoval(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts, err := firstGroup.readFolder(ctx, b)
	return append(facts, noted(b, "what rmdir said", "rmdir.said")), err
}

func deleteStep() bench.Step {
	return bench.Step{
		Name: "delete", Reproduces: []string{"cg-delete"}, Needs: needs("cgroup.delegation"),
		Do: emptyAndDelete,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				procs := filepath.Join(firstGroup.dirOf(b, cgroupdemo.PIDs), "cgroup.procs")
				return append(firstGroup.nameLines(b),
					"kill -9 $(cat "+procs+")",
					"while grep -q . "+procs+"; do sleep 0.01; done",
					"rmdir "+firstGroup.dirs(b))
			},
			Tools: []bench.Tool{bench.Cat, {Program: "grep", Package: "grep"}, bench.Sleep, bench.Rmdir},
		},
		Look: []bench.View{{Title: "the group's folder", Read: firstGroup.readFolder}},
		Expect: []evidence.Expectation{
			evidence.Becomes("without processes in it the group can be removed, files and all", "folder", evidence.Gone()),
		},
	}
}

// emptyAndDelete kills what is in the group and removes its folders.
func emptyAndDelete(ctx context.Context, b *bench.Bench) error {
	g, _, err := firstGroup.open(b)
	if err != nil {
		return err
	}
	if err := b.Drop("parent"); err != nil {
		return err
	}
	return errors.Join(g.Kill(ctx), g.Delete(ctx))
}
