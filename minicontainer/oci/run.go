package oci

import (
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Adopt makes this process the one that inherits orphans below it (prctl(2),
// PR_SET_CHILD_SUBREAPER): what a container without a pid namespace leaves.
func Adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_CHILD_SUBREAPER: %w", err)
	}
	return nil
}

// Wait passes signals on to a child of this process until it ends, and returns
// its exit status as a shell has it: 128 plus the signal that killed it. Other
// children that end meanwhile are reaped.
func Wait(pid int) (int, error) { return Collect()(pid) }

// Collect collects signals from now on, for a child that is yet to be started;
// what it gives is Wait for that child.
func Collect() (wait func(pid int) (int, error)) {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, forwarded()...)
	return func(pid int) (int, error) {
		// Afterwards they are still caught: nobody should interrupt the removal that
		// follows, and giving back twenty signals takes as many switches of threads.
		var ended atomic.Bool
		defer ended.Store(true)
		go func() {
			for s := range signals {
				if n, ok := s.(unix.Signal); ok && !ended.Load() {
					unix.Kill(pid, n)
				}
			}
		}()
		return reapUntil(pid), nil
	}
}

// forwarded are the signals that are passed on. Left out is what is meant for
// this process alone: the death of its children, stops by its terminal, what
// its own code would cause; and SIGURG, with which the Go runtime interrupts
// its threads.
func forwarded() []os.Signal {
	var list []os.Signal
	for s := unix.Signal(1); s < 32; s++ {
		switch s {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGURG, unix.SIGTTIN, unix.SIGTTOU, unix.SIGPIPE,
			unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGPROF:
			continue
		}
		list = append(list, s)
	}
	return list
}

// reapUntil waits for any child until it was that one (wait4(2)).
func reapUntil(pid int) int {
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 255
		}
		if got == pid && ws.Exited() {
			return ws.ExitStatus()
		}
		if got == pid && ws.Signaled() {
			return 128 + int(ws.Signal())
		}
	}
}
