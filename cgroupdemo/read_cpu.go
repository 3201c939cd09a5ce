package cgroupdemo

import (
	"time"
)

// CPUUsage is what the group spent, and how often it was made to wait.
type CPUUsage struct {
	Total, User, System Reading[time.Duration]
	Periods             Reading[uint64] // periods in which the group wanted to run
	Throttled           Reading[uint64] // of those, the ones in which the quota ran out
	ThrottledTime       Reading[time.Duration]
}

// CPU reads cpuacct.usage, cpuacct.usage_user, cpuacct.usage_sys (nanoseconds)
// and cpu.stat on version 1; cpu.stat alone (microseconds) on version 2.
func (g *Group) CPU() CPUUsage {
	var u CPUUsage
	acct, err := g.Place(CPUAcct)
	switch {
	case err != nil:
		u.Total, u.User, u.System = failed[time.Duration](err), failed[time.Duration](err), failed[time.Duration](err)
	case acct.Version == V1:
		u.Total = duration(ReadNumber(acct.Dir, "cpuacct.usage"), time.Nanosecond)
		u.User = duration(ReadNumber(acct.Dir, "cpuacct.usage_user"), time.Nanosecond)
		u.System = duration(ReadNumber(acct.Dir, "cpuacct.usage_sys"), time.Nanosecond)
	default:
		stat := ReadTable(acct.Dir, "cpu.stat")
		u.Total = duration(pick(stat, "usage_usec"), time.Microsecond)
		u.User = duration(pick(stat, "user_usec"), time.Microsecond)
		u.System = duration(pick(stat, "system_usec"), time.Microsecond)
	}
	u.addThrottling(g)
	return u
}

// addThrottling reads the bandwidth part, which only the cpu controller has.
func (u *CPUUsage) addThrottling(g *Group) {
	p, err := g.Place(CPU)
	if err != nil {
		u.Periods, u.Throttled, u.ThrottledTime = failed[uint64](err), failed[uint64](err), failed[time.Duration](err)
		return
	}
	stat := ReadTable(p.Dir, "cpu.stat")
	u.Periods, u.Throttled = pick(stat, "nr_periods"), pick(stat, "nr_throttled")
	if p.Version == V1 {
		u.ThrottledTime = duration(pick(stat, "throttled_time"), time.Nanosecond)
		return
	}
	u.ThrottledTime = duration(pick(stat, "throttled_usec"), time.Microsecond)
}

func duration(r Reading[uint64], unit time.Duration) Reading[time.Duration] {
	return convert(r, func(n uint64) (time.Duration, error) { return time.Duration(n) * unit, nil })
}

func failed[T any](err error) Reading[T] { return Reading[T]{Err: err} }
