// Package initproc is the program that --init puts in front of a container's own.
//
// Process 1 of a pid namespace has two duties that no ordinary program expects.
// The kernel gives it every orphan, and orphans that nobody waits for stay as
// zombies; and it drops signals for process 1 that have no handler there, so
// that SIGTERM does nothing to a program that would have died of it anywhere
// else (pid_namespaces(7)).
//
//	pid 1  init ──── waits for all, passes signals on
//	pid 2   └── the program, an ordinary process again
//
// The program gets a process group of its own, in the foreground of the terminal
// if there is one, so that Ctrl-C reaches it and what it starts.
//
// What this is not: a service manager; when the program ends, init ends with its
// exit code, and the kernel kills the rest.
package initproc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer/bundle"
	"cutaway/minicontainer/oci"
)

// Main makes this process an init, and does not return, if it was started as one.
func Main() {
	if os.Args[0] != bundle.InitPath || len(os.Args) < 3 || os.Args[1] != "--" {
		return
	}
	wait := oci.Collect() // before there is a child: what comes early is meant for it
	pid, err := start(os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "init:", err)
		os.Exit(code(err))
	}
	status, err := wait(pid)
	if err != nil {
		os.Exit(1)
	}
	os.Exit(status)
}

// start starts the program as a child.
func start(args []string) (int, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, err
	}
	attr := &os.ProcAttr{Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Setpgid: true}}
	if _, err := unix.IoctlGetInt(0, unix.TIOCGPGRP); err == nil {
		// Making somebody else the foreground stops us, unless this is ignored.
		signal.Ignore(unix.SIGTTOU)
		attr.Sys = &syscall.SysProcAttr{Foreground: true, Ctty: 0}
	}
	p, err := os.StartProcess(path, args, attr)
	if err != nil {
		return 0, err
	}
	return p.Pid, nil
}

// code is a shell's: 127 there is no such program, 126 it cannot be executed.
func code(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return 127
	}
	return 126
}
