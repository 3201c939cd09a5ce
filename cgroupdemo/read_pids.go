package cgroupdemo

// PIDsUsage counts tasks: threads and processes alike.
type PIDsUsage struct {
	Current, Max, Peak Reading[uint64] // Peak since Linux 6.1
	Refused            Reading[uint64] // forks that failed at the limit
}

// PIDs reads pids.current, pids.max, pids.peak and pids.events, which are the
// same in both versions (cgroup-v1/pids.rst).
func (g *Group) PIDs() PIDsUsage {
	p, err := g.Place(PIDs)
	if err != nil {
		n := failed[uint64](err)
		return PIDsUsage{n, n, n, n}
	}
	return PIDsUsage{
		Current: ReadNumber(p.Dir, "pids.current"),
		Max:     ReadNumber(p.Dir, "pids.max"),
		Peak:    ReadNumber(p.Dir, "pids.peak"),
		Refused: pick(ReadTable(p.Dir, "pids.events"), "max"),
	}
}

// CPUSetUsage is where the group may run, after its ancestors have had their say.
type CPUSetUsage struct {
	CPUs, Mems                   Reading[string] // as asked for; empty on version 2: as the parent
	EffectiveCPUs, EffectiveMems Reading[string]
}

// CPUSet reads cpuset.cpus, cpuset.mems and what came of them, in files that
// the versions name differently (cpuset.effective_cpus, cpuset.cpus.effective).
func (g *Group) CPUSet() CPUSetUsage {
	p, err := g.Place(CPUSet)
	if err != nil {
		s := failed[string](err)
		return CPUSetUsage{s, s, s, s}
	}
	cpus, mems := "cpuset.effective_cpus", "cpuset.effective_mems"
	if p.Version == V2 {
		cpus, mems = "cpuset.cpus.effective", "cpuset.mems.effective"
	}
	return CPUSetUsage{ReadText(p.Dir, "cpuset.cpus"), ReadText(p.Dir, "cpuset.mems"), ReadText(p.Dir, cpus), ReadText(p.Dir, mems)}
}
