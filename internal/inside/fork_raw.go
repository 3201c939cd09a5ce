package inside

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawFork is a forkPlan boiled down to what raw system calls take.
type rawFork struct {
	flags          uintptr
	enter          []entry
	setIDs, tryIDs bool
	uid, gid       uintptr
	groups         unsafe.Pointer
	ngroups        uintptr
	exe            uintptr
	argv, envp     unsafe.Pointer
	fds            []int32
	report         uintptr
	empty          [1]byte  // the empty path for execveat
	word           [2]int32 // step and errno, on their way to the pipe
	allSignals     uint64
	oldSignals     uint64
}

func newRawFork(p forkPlan, fds []int32, report int) *rawFork {
	r := &rawFork{
		flags: p.flags | uintptr(unix.SIGCHLD),
		enter: p.enter,
		exe:   uintptr(p.exe),
		argv:  unsafe.Pointer(&p.argv[0]), envp: unsafe.Pointer(&p.envp[0]),
		fds: fds, report: uintptr(report), allSignals: ^uint64(0),
	}
	if c := p.ids; c != nil {
		r.setIDs, r.tryIDs, r.uid, r.gid = true, p.tryIDs, uintptr(c.Uid), uintptr(c.Gid)
		r.ngroups = uintptr(len(c.Groups))
		r.groups = unsafe.Pointer(unsafe.SliceData(c.Groups))
	}
	return r
}

// run is fork(2) in a program with many threads. All signals are blocked around
// it, or the runtime's signal handler could run in the child. The memory is
// copied, not shared (no CLONE_VM): a time namespace may not be shared across
// one address space, and so the parent need not stand still.
//
//go:noinline
//go:norace
//go:nosplit
func (r *rawFork) run() (int, syscall.Errno) {
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&r.allSignals)), uintptr(unsafe.Pointer(&r.oldSignals)), 8, 0, 0)
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, r.flags, 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		r.child()
	}
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&r.oldSignals)), 0, 8, 0, 0)
	return int(pid), errno
}

// child does the steps in the only order that works. Ids change after setns,
// since 0 means the joined namespace's 0; the death signal comes after the ids,
// because changing them clears it (prctl(2)).
//
//go:norace
//go:nosplit
func (r *rawFork) child() {
	for i := range r.enter {
		_, _, e := syscall.RawSyscall(unix.SYS_SETNS, r.enter[i].fd, r.enter[i].flags, 0)
		r.check(stepSetns, e)
	}
	if r.setIDs {
		r.becomeIDs()
	}
	_, _, e := syscall.RawSyscall(unix.SYS_SETPGID, 0, 0, 0)
	r.check(stepSetpgid, e)
	_, _, e = syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
	r.check(stepPdeathsig, e)
	for to, from := range r.fds {
		_, _, e = syscall.RawSyscall(unix.SYS_DUP3, uintptr(from), uintptr(to), 0)
		r.check(stepDup, e)
	}
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&r.oldSignals)), 0, 8, 0, 0)
	_, _, e = syscall.RawSyscall6(unix.SYS_EXECVEAT, r.exe, uintptr(unsafe.Pointer(&r.empty)),
		uintptr(r.argv), uintptr(r.envp), unix.AT_EMPTY_PATH, 0)
	r.check(stepExec, e)
}

// becomeIDs gives up the groups first: without uid 0 it could not any more.
//
//go:norace
//go:nosplit
func (r *rawFork) becomeIDs() {
	_, _, e := syscall.RawSyscall(unix.SYS_SETGROUPS, r.ngroups, uintptr(r.groups), 0)
	if !r.tryIDs {
		r.check(stepSetgroups, e)
	}
	_, _, e = syscall.RawSyscall(unix.SYS_SETRESGID, r.gid, r.gid, r.gid)
	if !r.tryIDs {
		r.check(stepSetresgid, e)
	}
	_, _, e = syscall.RawSyscall(unix.SYS_SETRESUID, r.uid, r.uid, r.uid)
	if !r.tryIDs {
		r.check(stepSetresuid, e)
	}
}

// check ends the child when a step failed, after telling the parent which.
//
//go:norace
//go:nosplit
func (r *rawFork) check(step int32, e syscall.Errno) {
	if e == 0 {
		return
	}
	r.word[0], r.word[1] = step, int32(e)
	syscall.RawSyscall(unix.SYS_WRITE, r.report, uintptr(unsafe.Pointer(&r.word)), 8)
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 1, 0, 0)
	}
}
