package inside

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forkPlan says what the one-threaded child does between clone(2) and
// execveat(2). Everything is prepared before: the child may neither allocate nor
// grow its stack, because locks of the Go runtime that other threads held at the
// moment of the fork stay locked in it for ever.
type forkPlan struct {
	flags  uintptr // clone(2) flags besides the exit signal
	enter  []entry // namespaces, in this order
	ids    *syscall.Credential
	tryIDs bool    // an id that is not mapped is no error
	exe    int     // the program, as an fd: after setns its path may not exist
	argv   []*byte // ends in nil
	envp   []*byte // ends in nil
	fds    []int   // fds[i] becomes fd i
}

// steps names what the child was at when it failed; the index crosses the pipe.
var steps = []string{"setns", "setgroups", "setresgid", "setresuid", "setpgid", "prctl(PR_SET_PDEATHSIG)", "dup3", "execveat"}

const (
	stepSetns = iota
	stepSetgroups
	stepSetresgid
	stepSetresuid
	stepSetpgid
	stepPdeathsig
	stepDup
	stepExec
)

// fork runs plan and returns the child's pid once it has executed the program.
// The caller's goroutine must be locked to its thread, which is the parent. With
// an error and a pid, the child has failed and whoever is its parent must reap it.
func fork(plan forkPlan) (int, error) {
	high, err := lift(plan.fds)
	if err != nil {
		return 0, err
	}
	defer closeAll(high)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return 0, fmt.Errorf("pipe2: %w", err)
	}
	raw := newRawFork(plan, high, pipe[1])
	syscall.ForkLock.Lock()
	pid, errno := raw.run()
	syscall.ForkLock.Unlock()
	runtime.KeepAlive(raw)
	unix.Close(pipe[1])
	defer unix.Close(pipe[0])
	if errno != 0 {
		return 0, fmt.Errorf("clone(flags %#x): %w", plan.flags, errno)
	}
	return pid, childFailure(pipe[0])
}

// lift duplicates every file above the fd numbers that the child will fill,
// so that filling one never overwrites the source of another.
func lift(fds []int) ([]int32, error) {
	var high []int32
	for _, fd := range fds {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, len(fds)+1)
		if err != nil {
			closeAll(high)
			return nil, fmt.Errorf("fcntl(%d, F_DUPFD_CLOEXEC): %w", fd, err)
		}
		high = append(high, int32(dup))
	}
	return high, nil
}

func closeAll(fds []int32) {
	for _, fd := range fds {
		unix.Close(int(fd))
	}
}

// childFailure reads what the child wrote before it could exec. The pipe closes
// on exec, so nothing to read is the good news.
func childFailure(pipe int) error {
	var word [2]int32
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&word)), unsafe.Sizeof(word))
	n, err := unix.Read(pipe, buf)
	for err == unix.EINTR {
		n, err = unix.Read(pipe, buf)
	}
	if n < len(buf) {
		return nil
	}
	return os.NewSyscallError(steps[word[0]], syscall.Errno(word[1]))
}

// ptr is for system calls that take an address as a number.
func ptr(p *byte) uintptr { return uintptr(unsafe.Pointer(p)) }
