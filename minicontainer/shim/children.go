package shim

import (
	"sync"

	"golang.org/x/sys/unix"
)

// children reaps everything below this process: the container, what exec
// started, proxies, and orphans that the subreaper inherits (wait4(2)). Who
// wants to know how one ended says so before it can have been reaped: it is
// started under the lock that the reaper takes.
type children struct {
	mu      sync.Mutex
	waiting map[int]chan int
	born    chan struct{} // there may be one again
}

func newChildren() *children {
	c := &children{waiting: map[int]chan int{}, born: make(chan struct{}, 1)}
	go c.reapAll()
	return c
}

// reapAll sleeps in the kernel until one has ended (waitid(2), WNOWAIT: it stays
// to be reaped). SIGCHLD would tell too, but by way of three threads, and the end
// of a container is what everybody waits for.
func (c *children) reapAll() {
	for {
		switch unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil) {
		case nil:
			c.reap()
		case unix.ECHILD:
			<-c.born // orphans are born below others: there are none now
		}
	}
}

// reap takes all that have ended.
func (c *children) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if told := c.waiting[pid]; told != nil && (ws.Exited() || ws.Signaled()) {
			told <- exitCode(ws)
			delete(c.waiting, pid)
		}
	}
}

// exitCode is the shell's: 128 and the signal that killed it.
func exitCode(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// while runs fn, which starts or ends processes and waits for some of them
// itself, without the reaper taking them away. Nothing else here may start any.
func (c *children) while(fn func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.mayHaveMore()
	return fn()
}

func (c *children) mayHaveMore() {
	select {
	case c.born <- struct{}{}:
	default: // it is said already
	}
}

// watch tells how a child ends. Only to be called within while.
func (c *children) watch(pid int) <-chan int {
	told := make(chan int, 1)
	c.waiting[pid] = told
	return told
}
