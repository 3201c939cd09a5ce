package oci

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// visit runs a function on a thread that has entered namespaces of another
// process (setns(2) on its pidfd). The thread ends afterwards: it is never used
// for anything on the host again.
//
// A thread may do that for every kind but three. A user namespace takes a
// program with a single thread; pid and time namespaces are entered by
// children only.
func visit(pidfd *os.File, kinds uintptr, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked, which is what ends it
		if unix.Gettid() == unix.Getpid() {
			// The first thread cannot end alone, and what it sees is what /proc/PID
			// says of the whole process. While it waits here the visitor is another.
			result <- visit(pidfd, kinds, f)
			runtime.UnlockOSThread()
			return
		}
		err := enter(pidfd, kinds&^(unix.CLONE_NEWUSER|unix.CLONE_NEWPID|unix.CLONE_NEWTIME))
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}

// enter moves the calling thread.
func enter(pidfd *os.File, kinds uintptr) error {
	// Root and working directory are the process's until now, and a mount
	// namespace is only given to who has them alone.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare CLONE_FS: %w", err)
	}
	if kinds == 0 {
		return nil
	}
	if err := unix.Setns(int(pidfd.Fd()), int(kinds)); err != nil {
		return fmt.Errorf("setns into the container's namespaces: %w", err)
	}
	return nil
}

// elsewhere runs a function on any thread but a visiting one: those keep to their
// own goroutines (runtime.LockOSThread), and the threads that the Go runtime starts
// come from one that nobody has moved.
func elsewhere(f func() error) error {
	result := make(chan error, 1)
	go func() { result <- f() }()
	return <-result
}

// away runs a function on a thread of its own, which ends afterwards.
func away(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- f()
	}()
	return <-result
}
