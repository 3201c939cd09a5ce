package spawn

import (
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fork makes the first child (clone3(2)) and returns its pid in the caller.
//
// Signals are blocked across it: a Go signal handler that ran in the child
// would look for threads that do not exist there. The child gets its mask back
// right before the exec, which also resets every handler; where it shares the
// caller's memory they are reset from the beginning.
//
// Everything that the child does is in functions called from here, never in one
// that called this: a child that shares the stack must not return.
//
//go:norace
//go:nosplit
func fork(c *child) (int, unix.Errno) {
	all := ^uint64(0)
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&c.oldMask)), 8, 0, 0)
	var pid, errno uintptr
	if c.sharing {
		pid, errno = cloneSharing(&c.first, unsafe.Sizeof(c.first))
	} else {
		p, _, e := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&c.first)), unsafe.Sizeof(c.first), 0)
		pid, errno = p, uintptr(e)
	}
	if errno == 0 && pid == 0 {
		c.enterGroups()
		if c.twoStages {
			c.stageOne()
		} else {
			c.stageTwo()
		}
	}
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&c.oldMask)), 0, 8, 0, 0)
	return int(pid), unix.Errno(errno)
}

// enterGroups moves this process, which has one thread, into its cgroups.
//
// It could be moved from outside by its pid. But then the kernel stops every
// fork and exit of the machine for the move, and waits until all processors have
// seen that: some ten milliseconds. A thread that moves itself (0, in tasks, which
// only cgroup v1 has) and a process that is born in its group need none of it.
//
//go:norace
//go:nosplit
func (c *child) enterGroups() {
	for i := 0; i < len(c.tasks); i++ {
		_, _, errno := unix.RawSyscall(unix.SYS_WRITE, c.tasks[i], uintptr(unsafe.Pointer(&c.zero)), 1)
		c.check(stepCgroup, errno)
	}
}

// stageOne joins, clones the process that is really inside, and ends. The clone is
// written out once more, as it is in fork: in a function of its own a child that
// shares the stack would return from it, and overwrite what its parent needs to.
//
//go:norace
//go:nosplit
func (c *child) stageOne() {
	// The offsets come first: /proc is still the host's, and so is the user
	// namespace, in which CAP_SYS_TIME is needed.
	if c.newTime {
		_, _, errno := unix.RawSyscall(unix.SYS_UNSHARE, unix.CLONE_NEWTIME, 0, 0)
		c.check(stepTime, errno)
		c.writeOffsets()
	}
	for i := 0; i < len(c.joins); i++ {
		_, _, errno := unix.RawSyscall(unix.SYS_SETNS, c.joins[i].fd, c.joins[i].kinds, 0)
		c.check(stepJoin, errno)
	}
	var pid, errno uintptr
	if c.sharing {
		pid, errno = cloneSharing(&c.args, unsafe.Sizeof(c.args))
	} else {
		p, _, e := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&c.args)), unsafe.Sizeof(c.args), 0)
		pid, errno = p, uintptr(e)
	}
	c.check(stepClone, unix.Errno(errno))
	if pid == 0 {
		c.stageTwo()
	}
	number := int32(pid)
	unix.RawSyscall(unix.SYS_WRITE, c.pidFd, uintptr(unsafe.Pointer(&number)), 4)
	exit(0)
}

//go:norace
//go:nosplit
func (c *child) writeOffsets() {
	if len(c.offsets) == 0 {
		return
	}
	dir := unix.AT_FDCWD
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(dir),
		uintptr(unsafe.Pointer(c.timeFile)), unix.O_WRONLY|unix.O_CLOEXEC, 0, 0, 0)
	c.check(stepOffsets, errno)
	_, _, errno = unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&c.offsets[0])), uintptr(len(c.offsets)))
	c.check(stepOffsets, errno)
}

// stageTwo is inside. It becomes the init stage, or reports and ends.
//
//go:norace
//go:nosplit
func (c *child) stageTwo() {
	if c.waitMap {
		// The write end is ours too: without closing it, a dead caller would
		// never be seen as end of file and this process would wait for ever.
		unix.RawSyscall(unix.SYS_CLOSE, c.mapParent, 0, 0)
		var b byte
		n, _, _ := unix.RawSyscall(unix.SYS_READ, c.mapFd, uintptr(unsafe.Pointer(&b)), 1)
		if n != 1 {
			c.check(stepMapped, unix.EPIPE)
		}
	}
	if c.setRoot {
		// An id without a mapping would lose every capability at the exec.
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, 0, 0, 0)
		c.check(stepRoot, errno)
		_, _, errno = unix.RawSyscall(unix.SYS_SETRESUID, 0, 0, 0)
		c.check(stepRoot, errno)
	}
	if c.session {
		_, _, errno := unix.RawSyscall(unix.SYS_SETSID, 0, 0, 0)
		c.check(stepSession, errno)
	}
	c.check(stepStdio, c.placeFiles())
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, c.slack, 0) // not that of the thread which happens to fork
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&c.oldMask)), 0, 8, 0, 0)
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, c.exe, uintptr(unsafe.Pointer(c.empty)),
		uintptr(unsafe.Pointer(&c.argv[0])), uintptr(unsafe.Pointer(&c.envp[0])), unix.AT_EMPTY_PATH, 0)
	c.check(stepExec, errno)
}

// placeFiles copies stdio to 0, 1, 2 and lets the kept descriptors survive the exec.
// It leaves the report to the caller: these functions have some 800 bytes of stack.
//
//go:norace
//go:nosplit
func (c *child) placeFiles() unix.Errno {
	// First out of the way: a source below 3 could be overwritten before its turn.
	for i := 0; i < 3; i++ {
		fd, _, errno := unix.RawSyscall(unix.SYS_FCNTL, c.stdio[i], unix.F_DUPFD_CLOEXEC, 3)
		if errno != 0 {
			return errno
		}
		c.stdio[i] = fd
	}
	for i := 0; i < 3; i++ {
		_, _, errno := unix.RawSyscall(unix.SYS_DUP3, c.stdio[i], uintptr(i), 0)
		if errno != 0 {
			return errno
		}
	}
	// What the caller was started with is not marked to close at an exec. Whoever
	// waits for the end of such a file would wait for the end of the orphan.
	if c.alone {
		unix.RawSyscall(unix.SYS_CLOSE_RANGE, 3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	}
	for i := 0; i < len(c.keep); i++ {
		_, _, errno := unix.RawSyscall(unix.SYS_FCNTL, c.keep[i], unix.F_SETFD, 0)
		if errno != 0 {
			return errno
		}
	}
	return 0
}

// check reports a failed step to the caller and ends the child.
//
//go:norace
//go:nosplit
func (c *child) check(step int32, errno unix.Errno) {
	if errno == 0 {
		return
	}
	f := failure{step, errno}
	unix.RawSyscall(unix.SYS_WRITE, c.failFd, uintptr(unsafe.Pointer(&f)), unsafe.Sizeof(f))
	exit(127)
}

//go:norace
//go:nosplit
func exit(code uintptr) {
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, code, 0, 0)
	}
}
