package vm

import (
	"errors"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// children waits for every child of PID 1: the programs that the agent started, and
// the orphans that the kernel hands to PID 1, which would stay zombies.
type children struct {
	mu      sync.Mutex
	waiting map[int]chan unix.WaitStatus
	kick    chan struct{} // a child was started: there is something to wait for
}

func newChildren() *children {
	return &children{waiting: map[int]chan unix.WaitStatus{}, kick: make(chan struct{}, 1)}
}

// Start starts a program and returns where its status will come. It holds the lock
// across the fork so that no status can be reaped before its pid is known.
func (c *children) Start(file string, args []string, attr *syscall.ProcAttr) (pid int, status <-chan unix.WaitStatus, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pid, err = syscall.ForkExec(file, args, attr)
	if err != nil {
		return 0, nil, err
	}
	ch := make(chan unix.WaitStatus, 1)
	c.waiting[pid] = ch
	select {
	case c.kick <- struct{}{}:
	default:
	}
	return pid, ch, nil
}

// Signal signals the process group of a child that has not been reaped; afterwards
// the number may be somebody else's.
func (c *children) Signal(pid int, sig unix.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting[pid] != nil {
		_ = unix.Kill(-pid, sig)
	}
}

// Reap runs for ever. It looks first (WNOWAIT) and takes the status under the lock.
func (c *children) Reap() {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil: // ECHILD: no child at all
			<-c.kick
		default:
			c.take()
		}
	}
}

func (c *children) take() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var status unix.WaitStatus
	pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
	if err != nil || pid <= 0 {
		return
	}
	if ch := c.waiting[pid]; ch != nil {
		ch <- status
		delete(c.waiting, pid)
	}
}
