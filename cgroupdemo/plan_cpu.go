package cgroupdemo

import (
	"fmt"
	"strconv"
)

// cpuKnobs orders the cpu controller's writes: an idle group refuses a weight
// (EINVAL), so leaving idleness comes first and entering it comes last; the
// burst comes after the quota, because it may not be larger than the quota.
func cpuKnobs(s Spec) []knob {
	var list []knob
	c := s.CPU
	idle := knob{controller: CPU, field: "cpu.idle", why: "an idle group runs only when nobody else wants the CPU"}
	if c != nil && c.Idle != nil {
		idle.v1 = one("cpu.idle", strconv.FormatInt(*c.Idle, 10))
		idle.v2 = idle.v1
	}
	if len(idle.v1) > 0 && *c.Idle == 0 {
		list = append(list, idle)
	}
	list = append(list, weightKnobs(s)...)
	if c != nil {
		list = append(list, bandwidthKnobs(c.Quota, c.Period)...)
		if c.Burst != nil {
			v := strconv.FormatUint(*c.Burst, 10)
			list = append(list, knob{controller: CPU, field: "cpu.burst", v1: one("cpu.cfs_burst_us", v), v2: one("cpu.max.burst", v),
				why: "time that was not used in earlier periods may be spent on top of the quota, up to this"})
		}
		list = append(list, realtimeKnobs(c.RealtimeRuntime, c.RealtimePeriod)...)
	}
	if len(idle.v1) > 0 && *c.Idle != 0 {
		list = append(list, idle)
	}
	return list
}

func weightKnobs(s Spec) []knob {
	const why = "the group's part of a busy CPU beside its siblings; nothing is taken from it while the CPU is free"
	num := func(n uint64) string { return strconv.FormatUint(n, 10) }
	switch {
	case s.CPUWeight != nil:
		return []knob{{controller: CPU, field: "CPUWeight", why: why,
			v1: one("cpu.shares", num(WeightToShares(*s.CPUWeight))), v2: one("cpu.weight", num(*s.CPUWeight))}}
	case s.CPU != nil && or(s.CPU.Shares, 0) != 0:
		return []knob{{controller: CPU, field: "cpu.shares", why: why,
			v1: one("cpu.shares", num(*s.CPU.Shares)), v2: one("cpu.weight", num(SharesToWeight(*s.CPU.Shares)))}}
	}
	return nil
}

// bandwidthKnobs: version 1 has a file for the period and one for the quota,
// version 2 has both in cpu.max. The period goes first, since the kernel checks
// quota/period against the parent's at every write.
func bandwidthKnobs(quota *int64, period *uint64) []knob {
	k := knob{controller: CPU, field: "cpu.quota, cpu.period",
		why: "at most quota microseconds of CPU time in each period, then the group waits (is throttled)"}
	if p := or(period, 0); p != 0 {
		k.v1 = append(k.v1, one("cpu.cfs_period_us", strconv.FormatUint(p, 10))...)
	}
	q := or(quota, 0)
	if q != 0 {
		k.v1 = append(k.v1, one("cpu.cfs_quota_us", strconv.FormatInt(q, 10))...)
	}
	if len(k.v1) == 0 {
		return nil
	}
	value := "max"
	if q > 0 {
		value = strconv.FormatInt(q, 10)
	}
	if p := or(period, 0); p != 0 { // left out, the kernel keeps the present period
		value = fmt.Sprintf("%s %d", value, p)
	}
	k.v2 = one("cpu.max", value)
	return []knob{k}
}

func realtimeKnobs(runtime *int64, period *uint64) []knob {
	k := knob{controller: CPU, field: "cpu.realtimeRuntime, cpu.realtimePeriod",
		why:     "CPU time that SCHED_FIFO and SCHED_RR threads may take; a v1 group begins with none",
		without: "version 2 has no realtime limit; on a kernel with RT_GROUP_SCHED realtime threads have to stay in the root group"}
	if period != nil && *period != 0 {
		k.v1 = append(k.v1, one("cpu.rt_period_us", strconv.FormatUint(*period, 10))...)
	}
	if runtime != nil && *runtime != 0 {
		k.v1 = append(k.v1, one("cpu.rt_runtime_us", strconv.FormatInt(*runtime, 10))...)
	}
	if len(k.v1) == 0 {
		return nil
	}
	return []knob{k}
}

// cpusetKnobs: both files carry the same name and value in both versions.
func cpusetKnobs(s Spec) []knob {
	var list []knob
	if s.CPU != nil && s.CPU.Cpus != "" {
		w := one("cpuset.cpus", s.CPU.Cpus)
		list = append(list, knob{controller: CPUSet, field: "cpu.cpus", v1: w, v2: w,
			why: "the CPUs that the group's threads may run on"})
	}
	if s.CPU != nil && s.CPU.Mems != "" {
		w := one("cpuset.mems", s.CPU.Mems)
		list = append(list, knob{controller: CPUSet, field: "cpu.mems", v1: w, v2: w,
			why: "the memory nodes that the group's pages may come from"})
	}
	return list
}
