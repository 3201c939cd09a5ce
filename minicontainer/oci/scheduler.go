package oci

import (
	"fmt"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

var policies = sync.OnceValue(func() map[specs.LinuxSchedulerPolicy]uint32 {
	return map[specs.LinuxSchedulerPolicy]uint32{
		specs.SchedOther: unix.SCHED_NORMAL, specs.SchedFIFO: unix.SCHED_FIFO, specs.SchedRR: unix.SCHED_RR,
		specs.SchedBatch: unix.SCHED_BATCH, specs.SchedIdle: unix.SCHED_IDLE, specs.SchedDeadline: unix.SCHED_DEADLINE,
	}
})

var schedulerFlags = sync.OnceValue(func() map[specs.LinuxSchedulerFlag]uint64 {
	return map[specs.LinuxSchedulerFlag]uint64{
		specs.SchedFlagResetOnFork: unix.SCHED_FLAG_RESET_ON_FORK, specs.SchedFlagReclaim: unix.SCHED_FLAG_RECLAIM,
		specs.SchedFlagDLOverrun: unix.SCHED_FLAG_DL_OVERRUN, specs.SchedFlagKeepPolicy: unix.SCHED_FLAG_KEEP_POLICY,
		specs.SchedFlagKeepParams: unix.SCHED_FLAG_KEEP_PARAMS, specs.SchedFlagUtilClampMin: unix.SCHED_FLAG_UTIL_CLAMP_MIN,
		specs.SchedFlagUtilClampMax: unix.SCHED_FLAG_UTIL_CLAMP_MAX,
	}
})

// planScheduler fills struct sched_attr for sched_setattr(2).
func planScheduler(s *specs.Scheduler) (*unix.SchedAttr, error) {
	if s == nil {
		return nil, nil
	}
	policy, ok := policies()[s.Policy]
	if !ok {
		return nil, fmt.Errorf("invalid scheduler policy: %q", s.Policy)
	}
	if s.Nice < -20 || s.Nice > 19 {
		return nil, fmt.Errorf("invalid scheduler.nice: %d", s.Nice)
	}
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Nice: s.Nice,
		Priority: uint32(s.Priority), Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period}
	for _, f := range s.Flags {
		bit, ok := schedulerFlags()[f]
		if !ok {
			return nil, fmt.Errorf("invalid scheduler flag: %q", f)
		}
		attr.Flags |= bit
	}
	return attr, nil
}

var personalities = sync.OnceValue(func() map[specs.LinuxPersonalityDomain]uintptr {
	return map[specs.LinuxPersonalityDomain]uintptr{
		specs.PerLinux: 0, specs.PerLinux32: 8,
	}
})

// planPersonality gives the argument of personality(2); -1 leaves it.
func planPersonality(p *specs.LinuxPersonality) (int, error) {
	if p == nil {
		return -1, nil
	}
	domain, ok := personalities()[p.Domain]
	if !ok {
		return -1, fmt.Errorf("invalid personality domain %q: LINUX or LINUX32", p.Domain)
	}
	if len(p.Flags) > 0 {
		return -1, fmt.Errorf("personality flags %v: the specification knows none yet", p.Flags)
	}
	return int(domain), nil
}
