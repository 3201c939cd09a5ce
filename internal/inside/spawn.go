package inside

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const selfExe = "/proc/self/exe"

// needsUsher: joined namespaces, and a new time namespace, take two steps.
func (c Config) needsUsher() bool {
	return c.Join != nil || c.cloneflags()&unix.CLONE_NEWTIME != 0
}

func (c Config) cloneflags() uintptr {
	if c.Attr == nil {
		return 0
	}
	return c.Attr.Cloneflags
}

// validate refuses what could not be carried out as asked.
func (c Config) validate() error {
	if c.Offsets != "" && c.cloneflags()&unix.CLONE_NEWTIME == 0 {
		return errors.New("time offsets need CLONE_NEWTIME: only a new time namespace takes them")
	}
	if c.Join == nil {
		return nil
	}
	if _, err := c.Join.flags(); err != nil {
		return err
	}
	if c.Attr == nil {
		return nil
	}
	rest := *c.Attr
	rest.Cloneflags, rest.Credential, rest.Pdeathsig = rest.Cloneflags&unix.CLONE_NEWUSER, nil, 0
	if !reflect.DeepEqual(rest, syscall.SysProcAttr{}) {
		return fmt.Errorf("with Join only Attr.Cloneflags (without CLONE_NEWUSER) and Attr.Credential are possible, got %+v", rest)
	}
	return nil
}

// orders splits Attr between the two steps. A new pid namespace is for the
// helper alone: with the usher in it, the usher would be its pid 1, and end it.
func (c Config) orders(files int) orders {
	o := orders{NewTime: c.cloneflags()&unix.CLONE_NEWTIME != 0, Offsets: c.Offsets, Files: files, Exe: files}
	if c.Join.hasKind("pid") {
		o.Pidfd = files + 1
	}
	if c.Join == nil {
		o.Cloneflags = c.cloneflags() & unix.CLONE_NEWPID
	} else if c.Attr != nil {
		o.Cloneflags = c.Attr.Cloneflags &^ unix.CLONE_NEWTIME
		o.IDs = c.Attr.Credential
	}
	return o
}

// spawn makes the first process: the helper itself, or the usher.
func spawn(c Config, files []*os.File) (*os.Process, error) {
	env := c.Env
	if env == nil {
		env = os.Environ()
	}
	if !c.needsUsher() {
		return startProcess(c.Attr, 0, []string{argv0}, env, files)
	}
	exe, err := os.OpenFile(selfExe, unix.O_PATH, 0)
	if err != nil {
		return nil, err
	}
	defer exe.Close()
	files = append(files[:len(files):len(files)], exe) // fd orders.Exe
	args := []string{argv0, usherArg}
	if c.Join == nil {
		return startProcess(c.Attr, unix.CLONE_NEWTIME|unix.CLONE_NEWPID, args, env, files)
	}
	return forkJoined(c.Join, args, env, files)
}

// startProcess is clone(2) and execve(2) by the os package, which also writes the
// id maps of a new user namespace. without lists clone flags to leave out.
func startProcess(attr *syscall.SysProcAttr, without uintptr, args, env []string, files []*os.File) (*os.Process, error) {
	var sys syscall.SysProcAttr
	if attr != nil {
		sys = *attr
	}
	sys.Cloneflags &^= without
	sys.Pdeathsig = syscall.SIGKILL
	return os.StartProcess(selfExe, args, &os.ProcAttr{Env: env, Files: files, Sys: &sys})
}

// forkJoined makes the usher in the namespaces of another process, all but the
// pid namespace: a thread that has joined one can make no more threads, and the
// usher, a Go program, needs some. It gets the pidfd to join that later.
func forkJoined(j *Join, args, env []string, files []*os.File) (*os.Process, error) {
	fd, err := unix.PidfdOpen(j.Pid, 0)
	if err != nil {
		return nil, fmt.Errorf("pidfd_open(%d): %w", j.Pid, err)
	}
	pidfd := os.NewFile(uintptr(fd), "pidfd")
	defer pidfd.Close()
	files = append(files, pidfd) // fd orders.Pidfd
	plan, err := joinPlan(j, args, env, files)
	if err != nil {
		return nil, err
	}
	pid, err := fork(plan)
	runtime.KeepAlive(files)
	if err != nil && pid != 0 {
		unix.Wait4(pid, nil, 0, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("join %q of process %d: %w", j.Kinds, j.Pid, err)
	}
	return os.FindProcess(pid)
}

// joinPlan expects the program and the pidfd as the last two files.
func joinPlan(j *Join, args, env []string, files []*os.File) (plan forkPlan, err error) {
	for _, f := range files {
		plan.fds = append(plan.fds, int(f.Fd()))
	}
	plan.exe, plan.pidfd = plan.fds[len(files)-2], plan.fds[len(files)-1]
	if plan.nsflags, err = j.flags(); err != nil {
		return plan, err
	}
	plan.nsflags &^= unix.CLONE_NEWPID
	if plan.nsflags == 0 {
		plan.pidfd = -1 // all that was asked for is shared already
	}
	if plan.nsflags&unix.CLONE_NEWUSER != 0 {
		plan.ids, plan.tryIDs = &syscall.Credential{}, true
	}
	plan.argv, plan.envp, err = cStrings(args, env)
	return plan, err
}
