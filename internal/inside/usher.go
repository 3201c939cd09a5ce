package inside

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// orders is the usher's one message from the caller. With Attr, the next process
// is made by the os package, which can write id maps; else by fork.
type orders struct {
	Attr       *syscall.SysProcAttr `json:"attr,omitempty"`
	Again      bool                 `json:"again"`      // the next process is an usher, too
	Cloneflags uintptr              `json:"cloneflags"` // for the helper's clone(2)
	NewTime    bool                 `json:"newtime"`
	Offsets    string               `json:"offsets,omitempty"` // text for timens_offsets
	IDs        *syscall.Credential  `json:"ids,omitempty"`
	Files      int                  `json:"files"` // fds 0..Files-1 pass to the helper
	Exe        int                  `json:"exe"`   // this program, opened by the caller
	PidNS      int                  `json:"pidns"` // fd of the pid namespace to join; 0 for none
}

// usher stands in the joined (or new) namespaces, does what must come before the
// helper is born, makes the helper a child of the caller, and leaves.
func usher() {
	conn := helperSocket()
	var o orders
	if json.NewDecoder(conn).Decode(&o) != nil {
		os.Exit(0) // the caller has gone
	}
	answers := json.NewEncoder(conn)
	pid, err := prepareAndFork(o)
	if err != nil {
		send(answers, reply{Pid: pid, Err: remote(err)})
		os.Exit(1)
	}
	send(answers, reply{Pid: pid})
	os.Exit(0)
}

// prepareAndFork makes the next process and returns its pid.
func prepareAndFork(o orders) (int, error) {
	unix.CloseOnExec(o.Exe)
	fds := make([]int, o.Files)
	for fd := range fds {
		fds[fd] = fd
	}
	args := []string{argv0}
	if o.Again {
		fds, args = append(fds, o.Exe), append(args, usherArg)
	}
	if o.Attr != nil {
		return startSibling(o.Attr, args, fds)
	}
	if err := newTime(o); err != nil {
		return 0, err
	}
	return forkSibling(o, args, fds)
}

// startSibling becomes another user's child of the caller. The death signal is
// left to the helper itself: the os package would compare getppid(2) with this
// process's pid, take the caller for a stranger, and kill the child.
func startSibling(attr *syscall.SysProcAttr, args []string, fds []int) (int, error) {
	attr.Cloneflags |= unix.CLONE_PARENT
	attr.Pdeathsig = 0
	var files []*os.File
	for _, fd := range fds {
		files = append(files, os.NewFile(uintptr(fd), fmt.Sprintf("fd %d", fd)))
	}
	p, err := os.StartProcess(selfExe, args, &os.ProcAttr{Env: os.Environ(), Files: files, Sys: attr})
	runtime.KeepAlive(files)
	if err != nil {
		return 0, err
	}
	return p.Pid, nil
}

// newTime makes the time namespace and sets its clocks, which is possible only
// while no process is in it (EACCES afterwards, time_namespaces(7)).
func newTime(o orders) error {
	if !o.NewTime {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
		return fmt.Errorf("unshare(CLONE_NEWTIME): %w", err)
	}
	if o.Offsets == "" {
		return nil
	}
	const file = "/proc/self/timens_offsets"
	if err := os.WriteFile(file, []byte(o.Offsets), 0); err != nil {
		return fmt.Errorf("write %q: %w", o.Offsets, err)
	}
	return nil
}

// forkSibling joins the pid namespace last: from then on this thread can make
// children but no more threads (EINVAL, clone(2)). The Go runtime does not ask it
// to, since a locked thread leaves the making of threads to another one.
func forkSibling(o orders, args []string, fds []int) (int, error) {
	argv, envp, err := cStrings(args, os.Environ())
	if err != nil {
		return 0, err
	}
	if o.PidNS != 0 {
		unix.CloseOnExec(o.PidNS)
		if err := unix.Setns(o.PidNS, unix.CLONE_NEWPID); err != nil {
			return 0, fmt.Errorf("setns(CLONE_NEWPID): %w", err)
		}
	}
	return fork(forkPlan{
		flags: o.Cloneflags | unix.CLONE_PARENT, ids: o.IDs,
		exe: o.Exe, argv: argv, envp: envp, fds: fds,
	})
}

// cStrings makes the two nil-terminated lists that execve(2) takes.
func cStrings(args, env []string) (argv, envp []*byte, err error) {
	if argv, err = syscall.SlicePtrFromStrings(args); err != nil {
		return nil, nil, fmt.Errorf("arguments %q: %w", args, err)
	}
	if envp, err = syscall.SlicePtrFromStrings(env); err != nil {
		return nil, nil, fmt.Errorf("environment: %w", err)
	}
	return argv, envp, nil
}
