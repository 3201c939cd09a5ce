package cgroupdemo

import "sync"

// MemoryUsage is a group's memory. All numbers in bytes, events in times.
type MemoryUsage struct {
	Usage, Peak, Limit Reading[uint64] // Limit may be [Unlimited]
	AtLimit            Reading[uint64] // how often an allocation ran into the limit
	OOMKills           Reading[uint64] // processes of the group that the OOM killer ended
	Events             Reading[map[string]uint64]
	Stat               Reading[map[string]uint64]
	Anon, File, Shmem  Reading[uint64] // by kind; File has Shmem in it
	Kernel             Reading[uint64]
}

// memoryFiles are the two versions' words for the same numbers.
var memoryFiles = sync.OnceValue(func() map[Version]struct{ usage, peak, limit, events, anon, file, shmem string } {
	return map[Version]struct{ usage, peak, limit, events, anon, file, shmem string }{
		V1: {"memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.limit_in_bytes", "memory.oom_control", "total_rss", "total_cache", "total_shmem"},
		V2: {"memory.current", "memory.peak", "memory.max", "memory.events", "anon", "file", "shmem"},
	}
})

// Memory reads usage, peak, limit, events and memory.stat of the group, what is
// below it included (cgroup-v1/memory.rst, cgroup-v2.rst "Memory Interface Files").
func (g *Group) Memory() MemoryUsage {
	p, err := g.Place(Memory)
	if err != nil {
		n, t := failed[uint64](err), failed[map[string]uint64](err)
		return MemoryUsage{n, n, n, n, n, t, t, n, n, n, n}
	}
	f := memoryFiles()[p.Version]
	m := MemoryUsage{
		Usage:  ReadNumber(p.Dir, f.usage),
		Peak:   ReadNumber(p.Dir, f.peak),
		Limit:  ReadNumber(p.Dir, f.limit),
		Events: ReadTable(p.Dir, f.events),
		Stat:   ReadTable(p.Dir, "memory.stat"),
	}
	m.OOMKills = pick(m.Events, "oom_kill")
	m.Anon, m.File, m.Shmem = pick(m.Stat, f.anon), pick(m.Stat, f.file), pick(m.Stat, f.shmem)
	if p.Version == V1 {
		m.AtLimit = larger(ReadNumber(p.Dir, "memory.failcnt"), ReadNumber(p.Dir, "memory.memsw.failcnt"))
		m.Kernel = ReadNumber(p.Dir, "memory.kmem.usage_in_bytes")
		return m
	}
	m.AtLimit = pick(m.Events, "max")
	m.Kernel = pick(m.Stat, "kernel")
	return m
}

// larger: with equal limits for memory and for memory+swap, version 1 runs into
// the sum first and counts only there.
func larger(a, b Reading[uint64]) Reading[uint64] {
	if b.Err == nil && b.Value > a.Value {
		return b
	}
	return a
}
