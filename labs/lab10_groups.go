package labs

import (
	"context"
	"fmt"

	"cutaway/cgroupdemo"
	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// groupsLab is lab 10: what a control group is, before anything is limited.
func groupsLab() bench.Lab {
	return bench.Lab{ID: "10", Name: "groups", Steps: []bench.Step{
		hierarchiesStep(),
		createStep(),
	}}
}

func hierarchiesStep() bench.Step {
	return bench.Step{
		Name:       "hierarchies",
		Reproduces: []string{"cg-hierarchies"},
		ByHand: bench.ByHand{
			Lines: bench.Lines("cat /proc/cgroups", "grep cgroup /proc/self/mountinfo", "cat /proc/self/cgroup"),
			Tools: []bench.Tool{bench.Cat, {Program: "grep", Package: "grep"}},
		},
		Look: []bench.View{
			{Title: "controllers and their hierarchies", Columns: []string{"version", "mount point", "groups"}, Read: readControllers},
		},
		Expect: []evidence.Expectation{
			evidence.Is("the kernel has a memory controller in some hierarchy", "memory", evidence.Present()),
			evidence.Is("the kernel has a pids controller in some hierarchy", "pids", evidence.Present()),
		},
	}
}

// readControllers is the table of every controller that is mounted.
func readControllers(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	hs, err := cgroupdemo.Read("/proc")
	if err != nil {
		return nil, err
	}
	if hs.Mode() == "" {
		return nil, &evidence.CannotTest{
			Reason: "no cgroup file system is mounted here",
			WayOut: "mount one: mount -t cgroup2 cgroup2 /sys/fs/cgroup",
		}
	}
	var facts []evidence.Fact
	for _, row := range hs.Table() {
		if row.MountPoint == "" {
			continue
		}
		facts = append(facts, evidence.F(string(row.Controller), "/proc/cgroups, /proc/self/mountinfo",
			row.Version.String(), row.MountPoint, fmt.Sprint(row.Groups.Value)))
	}
	return facts, nil
}

func createStep() bench.Step {
	controllers := []cgroupdemo.Controller{cgroupdemo.CPU, cgroupdemo.Memory, cgroupdemo.PIDs}
	return bench.Step{
		Name:       "create",
		Reproduces: []string{"cg-create"},
		Intend:     intendGroup("first", controllers...),
		Do:         createGroup("first", controllers...),
		ByHand: bench.ByHand{
			Lines: createGroupByHand("first", controllers...),
			Tools: []bench.Tool{bench.Mkdir},
		},
		Look: []bench.View{{Title: "files of the new group", Read: readGroupFiles("first", controllers...)}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the kernel filled the new folder with the list of its processes", "cgroup.procs", evidence.Present()),
			evidence.Becomes("there is a file for the process limit, and it says that there is none yet", "pids.max", evidence.Contains("max")),
		},
	}
}

// readGroupFiles lists the control files of a group with what each means.
func readGroupFiles(name string, controllers ...cgroupdemo.Controller) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		g, _, err := group(b, name, controllers...)
		if err != nil {
			return nil, err
		}
		files, err := g.Files()
		var facts []evidence.Fact
		for _, f := range files {
			if f.Meaning != "" {
				facts = append(facts, evidence.F(f.Name, f.Path, f.Value))
			}
		}
		return facts, err
	}
}
