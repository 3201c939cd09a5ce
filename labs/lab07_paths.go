package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"cutaway/cgroupdemo"
	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// twoPaths is one line of a process's /proc/PID/cgroup, read from two sides.
type twoPaths struct {
	hierarchy    int
	label        string
	inside, host string
}

// pathsOf reads /proc/PID/cgroup of a process on the lab host, and the same file
// by a process in inner's cgroup namespace. It is the reader's namespace that
// counts: each path starts at its root.
func pathsOf(ctx context.Context, b *bench.Bench, pid int) ([]twoPaths, error) {
	host, err := nsdemo.CgroupPaths("/proc", pid)
	if err != nil {
		return nil, err
	}
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return nil, err
	}
	text, err := p.ReadFile(ctx, cgroupFile(pid))
	if err != nil {
		return nil, err
	}
	in, err := nsdemo.ParseCgroupPaths(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	var both []twoPaths
	for i, h := range host {
		if i < len(in) && in[i].Hierarchy == h.Hierarchy {
			both = append(both, twoPaths{h.Hierarchy, hierarchyLabel(h), in[i].Path, h.Path})
		}
	}
	return both, nil
}

func cgroupFile(pid int) string { return fmt.Sprintf("/proc/%d/cgroup", pid) }

func hierarchyLabel(c nsdemo.CgroupPath) string {
	if len(c.Controllers) == 0 {
		return "version 2"
	}
	return "version 1: " + strings.Join(c.Controllers, ",")
}

// readInnerPaths shows every hierarchy.
func readInnerPaths(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid(inner)
	if err != nil {
		return nil, err
	}
	all, err := pathsOf(ctx, b, pid)
	var facts []evidence.Fact
	for _, p := range all {
		facts = append(facts, evidence.F(p.label, cgroupFile(pid), p.inside, p.host))
	}
	return facts, err
}

// readInnerPath picks the hierarchy in which the process was put into a group;
// without a group, one in which it is not at the top anyway.
func readInnerPath(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	pid, err := b.Pid(inner)
	if err != nil {
		return nil, err
	}
	all, err := pathsOf(ctx, b, pid)
	if err != nil {
		return nil, err
	}
	shown, err := telling(b, all)
	if err != nil {
		return nil, err
	}
	other := "none"
	for _, p := range all {
		if p.inside != "/" {
			other = p.label + " " + p.inside
		}
	}
	facts := []evidence.Fact{
		evidence.F("path on the host", cgroupFile(pid), shown.host),
		evidence.F("path inside", cgroupFile(pid)+", read inside", shown.inside),
		evidence.F("paths inside other than /", cgroupFile(pid)+", read inside", other),
	}
	list, err := groupList(shown, pid)
	return append(facts, list...), err
}

// telling is the line that has something to tell: not / on the host already.
func telling(b *bench.Bench, all []twoPaths) (twoPaths, error) {
	for _, p := range all {
		if strings.HasSuffix(p.host, b.RunID()+"-"+box().name) {
			return p, nil
		}
	}
	for _, p := range all {
		if p.host != "/" {
			return p, nil
		}
	}
	return twoPaths{}, &evidence.CannotTest{
		Reason: "every control group path is / on this side already, so a namespace changes nothing",
		WayOut: "run it as root, outside of a container: sudo cutaway lab 07",
	}
}

// groupList looks the process up in the folder to which the host's path leads.
func groupList(p twoPaths, pid int) ([]evidence.Fact, error) {
	hs, err := cgroupdemo.Read("/proc")
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(hs.List, func(h cgroupdemo.Hierarchy) bool { return h.ID == p.hierarchy })
	if i < 0 {
		return nil, &evidence.CannotTest{Reason: "the hierarchy is not mounted here", WayOut: "run it on the host, not in a container"}
	}
	dir, err := hs.List[i].Dir(p.host)
	if errors.Is(err, cgroupdemo.ErrNotVisible) {
		return nil, &evidence.CannotTest{Reason: err.Error(), WayOut: "run it on the host, not in a container"}
	}
	if err != nil {
		return nil, err
	}
	file := dir + "/cgroup.procs"
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	has := "does not have the process"
	if slices.Contains(strings.Fields(string(text)), strconv.Itoa(pid)) {
		has = "has the process"
	}
	return []evidence.Fact{evidence.F("the group's list", file, has)}, nil
}

// readJoinerPath compares the joiner with inner, and with the lab itself.
func readJoinerPath(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	innerPid, err := b.Pid(inner)
	if err != nil {
		return nil, err
	}
	facts, err := namespaceFact(nil, "cgroup namespace of inner", innerPid, nsdemo.Cgroup)
	if err != nil {
		return facts, err
	}
	own, err := pathInBoxHierarchy(ctx, b, os.Getpid())
	if err != nil {
		return facts, err
	}
	facts = append(facts, evidence.F("path of the lab itself", cgroupFile(os.Getpid()), own.host))
	pid, err := b.Pid(joiner)
	if err != nil {
		return facts, err
	}
	if facts, err = namespaceFact(facts, "cgroup namespace of the joiner", pid, nsdemo.Cgroup); err != nil {
		return facts, err
	}
	path, err := pathInBoxHierarchy(ctx, b, pid)
	if err != nil {
		return facts, err
	}
	return append(facts,
		evidence.F("path of the joiner, on the host", cgroupFile(pid), path.host),
		evidence.F("path of the joiner, inside", cgroupFile(pid)+", read inside", path.inside)), nil
}

// namespaceFact adds the id of a namespace of a process.
func namespaceFact(facts []evidence.Fact, name string, pid int, k nsdemo.Kind) ([]evidence.Fact, error) {
	id, err := nsdemo.ID("/proc", pid, k)
	if err != nil {
		return facts, err
	}
	return append(facts, evidence.F(name, "readlink "+k.File("/proc", pid), fmt.Sprint(id))), nil
}

// pathInBoxHierarchy reads the group of a process where inner has its own.
func pathInBoxHierarchy(ctx context.Context, b *bench.Bench, pid int) (twoPaths, error) {
	innerPid, err := b.Pid(inner)
	if err != nil {
		return twoPaths{}, err
	}
	of, err := pathsOf(ctx, b, innerPid)
	if err != nil {
		return twoPaths{}, err
	}
	shown, err := telling(b, of)
	if err != nil {
		return twoPaths{}, err
	}
	all, err := pathsOf(ctx, b, pid)
	if err != nil {
		return twoPaths{}, err
	}
	i := slices.IndexFunc(all, func(p twoPaths) bool { return p.hierarchy == shown.hierarchy })
	if i < 0 {
		return twoPaths{}, fmt.Errorf("process %d is in no group of the hierarchy %s", pid, shown.label)
	}
	return all[i], nil
}
