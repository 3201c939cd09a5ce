package oci

import (
	"errors"
	"fmt"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/script"
)

// identity is who the process will be and what it may do, in the kernel's
// numbers: everything of the process object that is not a path.
type identity struct {
	caps   capabilities
	limits []limit
	ioprio int // for ioprio_set(2); -1 leaves it
	sched  *unix.SchedAttr

	personality int // for personality(2); -1 leaves it
}

// planIdentity turns names into numbers and tells all that do not exist.
func planIdentity(p *specs.Process, domain *specs.LinuxPersonality) (*identity, error) {
	id := &identity{}
	var errs [5]error
	id.caps, errs[0] = planCapabilities(p.Capabilities)
	id.limits, errs[1] = planLimits(p.Rlimits)
	id.ioprio, errs[2] = planIOPriority(p.IOPriority)
	id.sched, errs[3] = planScheduler(p.Scheduler)
	id.personality, errs[4] = planPersonality(domain)
	return id, errors.Join(errs[:]...)
}

// limit is one resource limit for prlimit(2).
type limit struct {
	name   string
	number int
	value  unix.Rlimit
}

var limitNumbers = sync.OnceValue(func() map[string]int {
	return map[string]int{
		"RLIMIT_CPU": unix.RLIMIT_CPU, "RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_DATA": unix.RLIMIT_DATA,
		"RLIMIT_STACK": unix.RLIMIT_STACK, "RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_RSS": unix.RLIMIT_RSS,
		"RLIMIT_NPROC": unix.RLIMIT_NPROC, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE, "RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK,
		"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_LOCKS": unix.RLIMIT_LOCKS, "RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING,
		"RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE, "RLIMIT_NICE": unix.RLIMIT_NICE, "RLIMIT_RTPRIO": unix.RLIMIT_RTPRIO,
		"RLIMIT_RTTIME": unix.RLIMIT_RTTIME,
	}
})

func planLimits(list []specs.POSIXRlimit) ([]limit, error) {
	var out []limit
	seen := map[string]bool{}
	for _, l := range list {
		number, ok := limitNumbers()[l.Type]
		if !ok {
			return nil, fmt.Errorf("wrong rlimit value: %s", l.Type)
		}
		if seen[l.Type] {
			return nil, fmt.Errorf("rlimit %s is given twice", l.Type)
		}
		seen[l.Type] = true
		out = append(out, limit{l.Type, number, unix.Rlimit{Cur: l.Soft, Max: l.Hard}})
	}
	return out, nil
}

// set applies the limit to a process (prlimit(2)).
func (l limit) set(pid int) error {
	if err := unix.Prlimit(pid, l.number, &l.value, nil); err != nil {
		return fmt.Errorf("error setting rlimit type %s soft=%d hard=%d: %w", l.name, l.value.Cur, l.value.Max, err)
	}
	return nil
}

var ioClasses = sync.OnceValue(func() map[specs.IOPriorityClass]int {
	return map[specs.IOPriorityClass]int{
		specs.IOPRIO_CLASS_RT: 1, specs.IOPRIO_CLASS_BE: 2, specs.IOPRIO_CLASS_IDLE: 3,
	}
})

// planIOPriority packs class and level as ioprio_set(2) takes them.
func planIOPriority(p *specs.LinuxIOPriority) (int, error) {
	if p == nil {
		return -1, nil
	}
	class, ok := ioClasses()[p.Class]
	if !ok || p.Priority < 0 || p.Priority > 7 {
		return -1, fmt.Errorf("ioPriority %s %d: want IOPRIO_CLASS_RT, _BE or _IDLE and 0 to 7", p.Class, p.Priority)
	}
	const classShift = 13
	return class<<classShift | p.Priority, nil
}

// kernelSide tells the kernel how to schedule the process, and which kernel to
// play (personality(2), ioprio_set(2), sched_setattr(2)).
func (id *identity) kernelSide(s *script.Script) {
	if id.personality >= 0 {
		s.Call(fmt.Sprintf("personality(%#x)", id.personality), unix.SYS_PERSONALITY, script.Int(id.personality))
	}
	if id.ioprio >= 0 {
		const whoProcess = 1
		s.Call(fmt.Sprintf("ioprio_set %#x", id.ioprio), unix.SYS_IOPRIO_SET, script.Int(whoProcess), script.Int(0), script.Int(id.ioprio))
	}
	if id.sched != nil {
		s.Call(fmt.Sprintf("sched_setattr policy=%d nice=%d", id.sched.Policy, id.sched.Nice), unix.SYS_SCHED_SETATTR,
			script.Int(0), s.Bytes(bytesOf(id.sched)), script.Int(0))
	}
}
