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

// attr is a copy of Attr that may be changed.
func (c Config) attr() syscall.SysProcAttr {
	if c.Attr == nil {
		return syscall.SysProcAttr{}
	}
	return *c.Attr
}

func (c Config) newTime() bool { return c.attr().Cloneflags&unix.CLONE_NEWTIME != 0 }

// validate refuses what could not be carried out as asked.
func (c Config) validate() error {
	if c.Offsets != "" && !c.newTime() {
		return errors.New("time offsets need CLONE_NEWTIME: only a new time namespace takes them")
	}
	if c.Join == nil {
		return nil
	}
	if c.As != nil {
		return errors.New("config has both As and Join: who has become an ordinary user may join nothing")
	}
	if err := c.Join.validate(); err != nil {
		return err
	}
	rest := c.attr()
	rest.Cloneflags, rest.Credential, rest.Pdeathsig = rest.Cloneflags&unix.CLONE_NEWUSER, nil, 0
	if !reflect.DeepEqual(rest, syscall.SysProcAttr{}) {
		return fmt.Errorf("with Join only Attr.Cloneflags (without CLONE_NEWUSER) and Attr.Credential are possible, got %+v", rest)
	}
	return nil
}

// orders lists what each usher on the way is told; none means no usher.
func (c Config) orders(files int) []orders {
	var list []orders
	twoSteps := c.Join != nil || c.newTime()
	if c.As != nil {
		attr := c.attr()
		if twoSteps {
			attr.Cloneflags &^= lateFlags
		}
		list = append(list, orders{Attr: &attr, Again: twoSteps, Files: files, Exe: files})
	}
	if twoSteps {
		list = append(list, c.lastOrders(files))
	}
	return list
}

// lateFlags are for the helper alone. With the usher in the new pid namespace,
// the usher would be its pid 1, and end it; in the new time namespace, the
// offsets could not be set any more.
const lateFlags = unix.CLONE_NEWPID | unix.CLONE_NEWTIME

func (c Config) lastOrders(files int) orders {
	o := orders{NewTime: c.newTime(), Offsets: c.Offsets, Files: files, Exe: files}
	if c.Join == nil {
		o.Cloneflags = c.attr().Cloneflags & unix.CLONE_NEWPID
		return o
	}
	o.Cloneflags = c.attr().Cloneflags &^ unix.CLONE_NEWTIME
	o.IDs = c.attr().Credential
	if c.Join.wantsPid() {
		o.PidNS = files + 1
	}
	return o
}

// spawn makes the first process: the helper itself, or the first usher.
func spawn(c Config, files []*os.File) (*os.Process, error) {
	env := c.Env
	if env == nil {
		env = os.Environ()
	}
	if len(c.orders(len(files))) == 0 {
		return startProcess(c.attr(), []string{argv0}, env, files)
	}
	exe, err := os.OpenFile(selfExe, unix.O_PATH, 0)
	if err != nil {
		return nil, err
	}
	defer exe.Close()
	files = append(files[:len(files):len(files)], exe) // fd orders.Exe
	args := []string{argv0, usherArg}
	if c.Join != nil {
		return forkJoined(c.Join, args, env, files)
	}
	attr := c.attr()
	attr.Cloneflags &^= lateFlags
	if c.As != nil {
		attr = syscall.SysProcAttr{Credential: c.As}
	}
	return startProcess(attr, args, env, files)
}

// startProcess is clone(2) and execve(2) by the os package, which also writes the
// id maps of a new user namespace. The process gets a process group of its own:
// Ctrl-C at the terminal is for the caller, who still needs the helper to put
// things back.
func startProcess(attr syscall.SysProcAttr, args, env []string, files []*os.File) (*os.Process, error) {
	attr.Pdeathsig = syscall.SIGKILL
	if !attr.Setsid && !attr.Foreground {
		attr.Setpgid = true
	}
	return os.StartProcess(selfExe, args, &os.ProcAttr{Env: env, Files: files, Sys: &attr})
}

// forkJoined makes the usher in the namespaces to join, all but the pid
// namespace: a thread that has joined one can make no more threads, and the
// usher, a Go program, needs some. It gets an fd to join that later.
func forkJoined(j *Join, args, env []string, files []*os.File) (*os.Process, error) {
	doors, err := j.open()
	if err != nil {
		return nil, err
	}
	defer doors.close()
	plan := forkPlan{enter: doors.enter}
	plan.exe = int(files[len(files)-1].Fd())
	if doors.pidNS != nil {
		files = append(files, doors.pidNS) // fd orders.PidNS
	}
	for _, f := range files {
		plan.fds = append(plan.fds, int(f.Fd()))
	}
	if doors.user {
		plan.ids, plan.tryIDs = &syscall.Credential{}, true
	}
	if plan.argv, plan.envp, err = cStrings(args, env); err != nil {
		return nil, err
	}
	pid, err := fork(plan)
	runtime.KeepAlive(files)
	if err != nil && pid != 0 {
		unix.Wait4(pid, nil, 0, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("join %+v: %w", *j, err)
	}
	return os.FindProcess(pid)
}
