package spawn

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"cutaway/internal/slack"
)

// child is everything that the forked child needs, made before the fork so
// that nothing has to be allocated after it.
type child struct {
	twoStages bool
	sharing   bool      // the fork shares the caller's memory, and the caller waits for the exec
	first     cloneArgs // the fork
	args      cloneArgs // stage one's clone
	tasks     []uintptr
	zero      byte
	joins     []join
	newTime   bool
	offsets   []byte
	setRoot   bool
	session   bool
	alone     bool
	waitMap   bool

	exe   uintptr
	argv  []*byte
	envp  []*byte
	stdio [3]uintptr
	keep  []uintptr

	pids, fails, mapped [2]*os.File
	pidFd, failFd       uintptr
	mapFd, mapParent    uintptr

	timeFile, empty *byte
	oldMask         uint64
	slack           uintptr
}

// join is a Namespace in the form of the system call.
type join struct{ fd, kinds uintptr }

// cloneArgs is struct clone_args of clone3(2), up to cgroup, its third version (Linux 5.7).
type cloneArgs struct {
	flags, pidfd, childTid, parentTid, exitSignal, stack, stackSize, tls uint64
	setTid, setTidSize, cgroup                                           uint64
}

// failure crosses the pipe as it lies in memory.
type failure struct {
	step  int32
	errno unix.Errno
}

// The steps that can fail in the child, and what they are called.
const (
	stepCgroup = iota
	stepJoin
	stepTime
	stepOffsets
	stepClone
	stepMapped
	stepRoot
	stepSession
	stepStdio
	stepExec
)

var stepNames = [...]string{
	stepCgroup:  "write 0 to a cgroup's tasks",
	stepJoin:    "setns into a given namespace",
	stepTime:    "unshare the time namespace",
	stepOffsets: "write /proc/self/timens_offsets",
	stepClone:   "clone into the new namespaces",
	stepMapped:  "wait for uid_map and gid_map",
	stepRoot:    "become root of the user namespace",
	stepSession: "setsid",
	stepStdio:   "put standard input, output and error in place",
	stepExec:    "execveat of the init stage",
}

// prepare copies the process into memory that the child can use as it is.
func prepare(p Process) (*child, error) {
	c := &child{
		newTime: p.New&unix.CLONE_NEWTIME != 0,
		offsets: []byte(p.TimeOffsets),
		waitMap: p.New&unix.CLONE_NEWUSER != 0,
		setRoot: p.Root || p.New&unix.CLONE_NEWUSER != 0,
		exe:     p.Exe.Fd(),
		slack:   slack.Inherited(),
		session: p.Session,
		alone:   p.Orphan,
		keep:    fds(p.Keep),
	}
	for _, n := range p.Join {
		c.joins = append(c.joins, join{n.File.Fd(), n.Kinds})
	}
	c.twoStages = len(c.joins) > 0 || c.newTime || p.Orphan
	c.plan(p)
	for i, f := range p.Stdio {
		c.stdio[i] = f.Fd()
	}
	var err error
	if c.argv, err = syscall.SlicePtrFromStrings(p.Argv); err != nil {
		return nil, err
	}
	if c.envp, err = syscall.SlicePtrFromStrings(p.Env); err != nil {
		return nil, err
	}
	c.timeFile = cstring("/proc/self/timens_offsets")
	c.empty = cstring("")
	return c, c.openPipes()
}

// plan splits the clone flags between the two stages.
func (c *child) plan(p Process) {
	made := uint64(p.New &^ unix.CLONE_NEWTIME) // unshared in stage one, as its offsets are written there
	c.first = cloneArgs{flags: made, exitSignal: uint64(unix.SIGCHLD)}
	if c.twoStages {
		// CLONE_PARENT makes the new process a child of the caller, not of the
		// stage. Its exit signal is then the stage's own; clone3 refuses another.
		c.args = cloneArgs{flags: made | unix.CLONE_PARENT}
		c.first.flags = 0
	}
	if p.Orphan {
		// Without that flag it is the stage's child, and an orphan as soon as the
		// stage has ended: nobody here has to reap it.
		c.args = cloneArgs{flags: made, exitSignal: uint64(unix.SIGCHLD)}
	}
	// Copying the page tables of a Go program, and then each page that either of
	// the two writes to, takes longer than all else here. It can be left out where
	// the caller has nothing to do meanwhile, and nobody else can look at a process
	// that has the caller's memory: its pid namespace is new, or the caller's own.
	c.sharing = canShare && len(c.joins) == 0 && !c.newTime && p.New&unix.CLONE_NEWUSER == 0
	if c.sharing {
		c.first.flags |= unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_CLEAR_SIGHAND
		c.args.flags |= unix.CLONE_VM | unix.CLONE_VFORK // stage one stands still in its turn
	}
	if p.Group != nil {
		c.first.flags |= unix.CLONE_INTO_CGROUP
		c.first.cgroup = uint64(p.Group.Fd())
	}
	c.tasks, c.zero = fds(p.Tasks), '0'
}

// openPipes makes the three channels of the drawing, all closed at exec.
func (c *child) openPipes() error {
	for _, pair := range []*[2]*os.File{&c.pids, &c.fails, &c.mapped} {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return err
		}
		// Plain blocking files: the poller would cost system calls and gain nothing.
		pair[0], pair[1] = os.NewFile(uintptr(p[0]), "pipe"), os.NewFile(uintptr(p[1]), "pipe")
	}
	c.pidFd, c.failFd = c.pids[1].Fd(), c.fails[1].Fd()
	c.mapFd, c.mapParent = c.mapped[0].Fd(), c.mapped[1].Fd()
	return nil
}

// closeChild closes the ends that only the child uses, so that its death is seen as end of file.
func (c *child) closeChild() {
	c.pids[1].Close()
	c.fails[1].Close()
	c.mapped[0].Close()
}

func (c *child) closeParent() {
	c.pids[0].Close()
	c.fails[0].Close()
	c.mapped[1].Close()
}

func fds(files []*os.File) []uintptr {
	out := make([]uintptr, len(files))
	for i, f := range files {
		out[i] = f.Fd()
	}
	return out
}

func cstring(s string) *byte {
	return unsafe.SliceData(append([]byte(s), 0))
}
