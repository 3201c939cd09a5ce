package spawn

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Process says what to start and where.
type Process struct {
	Exe  *os.File // the program, opened O_PATH or O_RDONLY
	Argv []string
	Env  []string

	Join        []Namespace // entered in this order: user first, mount last
	New         uintptr     // CLONE_NEW* flags of the namespaces to make
	TimeOffsets string      // lines for timens_offsets, with CLONE_NEWTIME

	Group *os.File   // directory of a cgroup v2 to be born in (CLONE_INTO_CGROUP), or nil
	Tasks []*os.File // "tasks" files of cgroup v1 groups to enter

	UIDs, GIDs []specs.LinuxIDMapping // with CLONE_NEWUSER
	DenyGroups bool                   // write "deny" to setgroups first: what an ordinary user must do
	Root       bool                   // become uid and gid 0 of the user namespace that was joined

	Orphan  bool // not the caller's child: process 1, or the nearest subreaper, adopts it. Keep is all it takes along
	Session bool // in a session of its own (setsid(2))

	Stdio [3]*os.File // become 0, 1 and 2
	Keep  []*os.File  // stay open under their own numbers; everything else of this program closes at exec
}

// Namespace is something that setns(2) takes: a namespace file and its one
// CLONE_NEW* flag, or a pidfd and the flags of all kinds to take from there.
type Namespace struct {
	File  *os.File
	Kinds uintptr
}

// Start runs the process and returns its pid as the caller sees it, once the
// exec succeeded (clone(2), setns(2), execveat(2)). The caller is its parent,
// unless it is to be an orphan.
func Start(p Process) (int, error) {
	c, err := prepare(p)
	if err != nil {
		return 0, err
	}
	defer c.closeParent()
	return c.start(p)
}

// start forks on a locked thread: the signal mask that it changes is the thread's.
func (c *child) start(p Process) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// No descriptor of another goroutine may slip into the child half made.
	syscall.ForkLock.Lock()
	first, errno := fork(c)
	syscall.ForkLock.Unlock()
	c.closeChild()
	runtime.KeepAlive(p)
	if errno != 0 {
		return 0, fmt.Errorf("clone with %s: %w", FlagNames(p.New), errno)
	}
	pid, err := c.follow(first, p)
	if err != nil {
		reap(first)
		return 0, err
	}
	return pid, nil
}

// follow walks the parent's side of the drawing in doc.go.
func (c *child) follow(first int, p Process) (int, error) {
	pid := first
	if c.twoStages {
		second, err := c.readPid()
		reap(first) // stage one has done its work; a zombie would stay otherwise
		if err != nil {
			return 0, err
		}
		pid = second
	}
	if p.New&unix.CLONE_NEWUSER != 0 {
		if err := writeMaps(pid, p); err != nil {
			unix.Kill(pid, unix.SIGKILL)
			reap(pid)
			return 0, err
		}
		c.mapped[1].Write([]byte{1})
	}
	if err := c.readFailure(); err != nil {
		reap(pid)
		return 0, err
	}
	return pid, nil
}

// readPid takes the grandchild's pid from stage one.
func (c *child) readPid() (int, error) {
	var pid int32
	n, err := c.pids[0].Read((*[4]byte)(unsafe.Pointer(&pid))[:])
	if n == 4 {
		return int(pid), nil
	}
	if failure := c.readFailure(); failure != nil {
		return 0, failure
	}
	return 0, fmt.Errorf("the first stage ended without a word: %w", err)
}

// readFailure waits for the exec: end of file means that it worked.
func (c *child) readFailure() error {
	var f failure
	n, _ := c.fails[0].Read((*[unsafe.Sizeof(f)]byte)(unsafe.Pointer(&f))[:])
	if n == 0 {
		return nil
	}
	if f.step == stepExec && f.errno == unix.ENOENT {
		return fmt.Errorf("%s: %w; likely this program is linked dynamically and its loader is not in the container: "+
			"build it with CGO_ENABLED=0", stepNames[f.step], f.errno)
	}
	return fmt.Errorf("%s: %w", stepNames[f.step], f.errno)
}

// reap collects a child that has ended, or is about to (wait4(2)).
func reap(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}
