package workload

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxForks bounds [ForkUntilError] whatever is asked for: a bomb with a fuse.
const MaxForks = 4096

// ForkUntilError makes children that only sleep, until fork(2) fails or max are
// made. They stay for hold, are then killed and waited for. It returns how many
// there were, and the errno (EAGAIN at a pids limit), nil if all max were made.
// A child dies with the thread that made it (PR_SET_PDEATHSIG), so none is left
// even if we are killed.
func ForkUntilError(ctx context.Context, max int, hold time.Duration) (made int, err error) {
	if max < 1 || max > MaxForks {
		return 0, fmt.Errorf("fork %d times: want 1 to %d", max, MaxForks)
	}
	// Go's runtime dies if it wants a thread and gets EAGAIN. So it gets spare
	// ones before, and no garbage collection, which would want more.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	spareThreads(8)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pids := make([]int, 0, max)
	for len(pids) < max && err == nil {
		pid, errno := forkSleeper()
		if errno != 0 {
			err = fmt.Errorf("fork number %d: %w", len(pids)+1, errno)
			break
		}
		pids = append(pids, pid)
	}
	if len(pids) > 0 {
		_ = pause(ctx, hold) // an early end is as good
	}
	return len(pids), errors.Join(err, reap(pids))
}

func reap(pids []int) error {
	var errs []error
	for _, pid := range pids {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("kill(%d): %w", pid, err))
		}
	}
	for _, pid := range pids {
		for {
			if _, err := unix.Wait4(pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
	return errors.Join(errs...)
}

// spareThreads makes the runtime start n threads that idle afterwards.
func spareThreads(n int) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			ts := unix.NsecToTimespec(int64(2 * time.Millisecond))
			_ = unix.Nanosleep(&ts, nil) // all n at once: each needs a thread
		})
	}
	all.Wait()
}

// forkSleeper is clone(2) with nothing shared: a plain fork. The child has the
// one thread and must not enter the Go runtime, which believes in the others;
// so signals are blocked (a handler would be the runtime's) and the child does
// raw system calls only.
//
//go:noinline
//go:norace
//go:nosplit
func forkSleeper() (int, syscall.Errno) {
	all, old := ^uint64(0), uint64(0)
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&old)), 8, 0, 0)
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
		for {
			syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0) // sleep for ever
		}
	}
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&old)), 0, 8, 0, 0)
	return int(pid), errno
}
