package seccomp

import (
	"fmt"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// actions are the values that a program returns (linux/seccomp.h). The low 16
// bits carry data: the errno, or the number that a tracer is told.
var actions = sync.OnceValue(func() map[specs.LinuxSeccompAction]uint32 {
	return map[specs.LinuxSeccompAction]uint32{
		specs.ActKill:        unix.SECCOMP_RET_KILL_THREAD,
		specs.ActKillThread:  unix.SECCOMP_RET_KILL_THREAD,
		specs.ActKillProcess: unix.SECCOMP_RET_KILL_PROCESS,
		specs.ActTrap:        unix.SECCOMP_RET_TRAP,
		specs.ActErrno:       unix.SECCOMP_RET_ERRNO,
		specs.ActTrace:       unix.SECCOMP_RET_TRACE,
		specs.ActAllow:       unix.SECCOMP_RET_ALLOW,
		specs.ActLog:         unix.SECCOMP_RET_LOG,
		specs.ActNotify:      unix.SECCOMP_RET_USER_NOTIF,
	}
})

// value turns an action and its errno into a return value; without an errno
// it is EPERM.
func value(a specs.LinuxSeccompAction, errnoRet *uint) (uint32, error) {
	v, ok := actions()[a]
	if !ok {
		return 0, fmt.Errorf("seccomp: string %s is not a valid action for seccomp", a)
	}
	if a == specs.ActErrno || a == specs.ActTrace {
		data := uint32(unix.EPERM)
		if errnoRet != nil {
			data = uint32(*errnoRet)
		}
		v |= data & unix.SECCOMP_RET_DATA
	}
	return v, nil
}

var flags = sync.OnceValue(func() map[specs.LinuxSeccompFlag]uint {
	return map[specs.LinuxSeccompFlag]uint{
		"SECCOMP_FILTER_FLAG_TSYNC":            0, // one thread is left after the exec: nothing to synchronise
		specs.LinuxSeccompFlagLog:              unix.SECCOMP_FILTER_FLAG_LOG,
		specs.LinuxSeccompFlagSpecAllow:        unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		specs.LinuxSeccompFlagWaitKillableRecv: unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
	}
})

// flagBits joins the flags of the spec for seccomp(2).
func flagBits(list []specs.LinuxSeccompFlag) (uint, error) {
	var bits uint
	for _, f := range list {
		b, ok := flags()[f]
		if !ok {
			return 0, fmt.Errorf("seccomp flag %q not yet supported", f)
		}
		bits |= b
	}
	return bits, nil
}
