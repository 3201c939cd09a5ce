package labs

import (
	"context"
	"fmt"

	"cutaway/cgroupdemo"
	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
)

// limited is a whole container (lab 37) that is run for its group's sake.
const limited = "limited"

func memoryContainerStep() bench.Step {
	return bench.Step{
		Name: "container", Reproduces: []string{"cg-docker-name"}, Inside: limited,
		Needs:  needs("ns.mnt", "ns.pid", "mount.pivot-root"),
		Intend: intendEngine,
		Do: func(_ context.Context, b *bench.Bench) error {
			mib, err := memoryMiB(b)
			if err != nil {
				return err
			}
			o := minicontainer.Options{Name: limited, Config: minicontainer.Config{Image: "box", Cmd: []string{"sleep", "1000"}}}
			o.Host.NetworkMode, o.Host.Memory = "none", mib<<20
			return run(b, o)
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				mib, err := memoryMiB(b)
				if err != nil {
					return []string{"false # " + err.Error()}
				}
				return runLines(limited, fmt.Sprintf("--network none --memory %dm box sleep 1000", mib))
			},
			Tools: []bench.Tool{cutawayTool},
		},
		Look: []bench.View{{Title: "the container and its group", Read: readLimited}},
		Expect: []evidence.Expectation{
			evidence.Becomes("a process runs in the container", "process", evidence.Present()),
			evidence.Same("its control group is called by the container's id", "name of its control group", "id of the container"),
			evidence.Becomes("the file of that group has the value of the flag --memory", "limit in the group's file, MiB", evidence.Param("mib")),
		},
	}
}

// readLimited finds the group by the container's id and reads its limit.
func readLimited(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	if _, err := memoryMiB(b); err != nil {
		return nil, err
	}
	pid, err := b.Pid(limited)
	if err != nil {
		return nil, err
	}
	c, err := container(b, limited)
	if err != nil || c == nil {
		return nil, err
	}
	name, err := groupOf(pid)
	if err != nil {
		return nil, err
	}
	g, err := groupOfContainer(b, c.ID)
	if err != nil {
		return nil, err
	}
	place, err := g.Place(cgroupdemo.Memory)
	if err != nil {
		return nil, err
	}
	limit := g.Memory().Limit
	return []evidence.Fact{
		evidence.F("process", limited+".pid", fmt.Sprint(pid)),
		evidence.F("id of the container", "cutaway ps --no-trunc", c.ID),
		evidence.F("name of its control group", fmt.Sprintf("/proc/%d/cgroup; %s", pid, place.Dir), name),
		evidence.F("limit in the group's file, MiB", limit.Path, fmt.Sprint(limit.Value>>20)),
	}, limit.Err
}
