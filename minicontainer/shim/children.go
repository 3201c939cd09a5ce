package shim

import (
	"os"
	"os/signal"
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
}

func newChildren() *children {
	c := &children{waiting: map[int]chan int{}}
	deaths := make(chan os.Signal, 1)
	signal.Notify(deaths, unix.SIGCHLD)
	go func() {
		for range deaths {
			c.reap()
		}
	}()
	return c
}

// reap takes all that have ended. One signal may stand for many deaths.
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
// itself, without the reaper taking them away.
func (c *children) while(fn func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fn()
}

// watch tells how a child ends. Only to be called within while.
func (c *children) watch(pid int) <-chan int {
	told := make(chan int, 1)
	c.waiting[pid] = told
	return told
}
