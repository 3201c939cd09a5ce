package nsdemo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"cutaway/internal/inside"
)

type programRequest struct{ Argv, Env []string }

type killRequest struct {
	Pid    int
	Signal unix.Signal
}

var (
	askProcesses = verb("ns.processes", func(context.Context, none) ([]ProcessInfo, error) { return Processes("/proc") })
	askInnerPid  = verb("ns.getpid", func(context.Context, none) (int, error) { return os.Getpid(), nil })
	askSpawn     = verb("ns.spawn", func(_ context.Context, r programRequest) (int, error) { return spawn(r) })
	askExec      = verb("ns.exec", nothing(execute))
	askKill      = verb("ns.kill", nothing(kill))
	askRun       = verb("ns.run", run)
)

// Processes lists /proc inside: what ps shows there. Which pid namespace that is
// depends on where that /proc was mounted, not on who reads it.
func (p *Process) Processes(ctx context.Context) ([]ProcessInfo, error) {
	return askProcesses(ctx, p, none{})
}

// InnerPid asks getpid(2) inside.
func (p *Process) InnerPid(ctx context.Context) (int, error) {
	return askInnerPid(ctx, p, none{})
}

// Spawn starts a program inside by clone(2) and execve(2), as a child of the
// process, and returns its inner pid. It ends with the process; or, where
// [Process.Setns] or [Process.Unshare] sent it to another pid namespace, with
// process 1 of that. If it is number 1 itself, the caller has to end it.
func (p *Process) Spawn(ctx context.Context, argv ...string) (innerPid int, err error) {
	return askSpawn(ctx, p, programRequest{Argv: argv})
}

func spawn(r programRequest) (int, error) {
	cmd, err := command(context.Background(), r)
	if err != nil {
		return 0, err
	}
	if elsewhere, err := childrenElsewhere(); err != nil {
		return 0, err
	} else if elsewhere {
		// The os package has the child compare getppid(2) with our pid before it
		// relies on the death signal. In another pid namespace that is 0, and the
		// child would take us for dead and kill itself.
		cmd.SysProcAttr.Pdeathsig = 0
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go cmd.Wait() // reaps it
	return cmd.Process.Pid, nil
}

// childrenElsewhere tells whether children are born into another pid namespace.
func childrenElsewhere() (bool, error) {
	pid, err := ownPidIn("/proc")
	if err != nil {
		return false, err
	}
	own, err := ID("/proc", pid, PID)
	if err != nil {
		return false, err
	}
	children, err := ChildrenID("/proc", pid, PID)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil // unshared, and no child yet: nobody could name it
	}
	return children != own, err
}

// Output is what a program wrote and how it ended.
type Output struct {
	Stdout, Stderr string
	ExitCode       int // -1 when a signal ended it
}

// Run runs a program inside to its end. Exit codes other than 0 are no error.
func (p *Process) Run(ctx context.Context, argv ...string) (Output, error) {
	return askRun(ctx, p, programRequest{Argv: argv})
}

func run(ctx context.Context, r programRequest) (Output, error) {
	cmd, err := command(ctx, r)
	if err != nil {
		return Output{}, err
	}
	stdout, err := cmd.Output()
	out := Output{Stdout: string(stdout), ExitCode: cmd.ProcessState.ExitCode()}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		out.Stderr = string(exit.Stderr)
		return out, nil
	}
	return out, err
}

func command(ctx context.Context, r programRequest) (*exec.Cmd, error) {
	if len(r.Argv) == 0 {
		return nil, errors.New("no program named")
	}
	cmd := exec.CommandContext(ctx, r.Argv[0], r.Argv[1:]...)
	cmd.Env = r.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, nil
}

// Exec makes the process execute a program in its own place, by execve(2): same
// pid, same namespaces. It takes no requests any more after that; Signal and
// Close still work.
func (p *Process) Exec(ctx context.Context, argv ...string) error {
	_, err := askExec(ctx, p, programRequest{Argv: argv, Env: os.Environ()})
	if gone, ok := errors.AsType[*inside.Gone](err); ok && gone.State == nil {
		return nil // execve closed the line, which is how it tells that it worked
	}
	return err
}

func execute(r programRequest) error {
	if len(r.Argv) == 0 {
		return errors.New("no program named")
	}
	path, err := exec.LookPath(r.Argv[0])
	if err != nil {
		return err
	}
	err = unix.Exec(path, r.Argv, r.Env)
	return fmt.Errorf("execve(%q, %q): %w", path, r.Argv, err)
}

// Kill calls kill(2) inside, on an inner pid. Pid 1 gets from within its own pid
// namespace only signals that it handles, and never SIGKILL or SIGSTOP: kill then
// succeeds and nothing happens (pid_namespaces(7)).
func (p *Process) Kill(ctx context.Context, innerPid int, sig unix.Signal) error {
	_, err := askKill(ctx, p, killRequest{innerPid, sig})
	return err
}

// kill is for single processes of a pid namespace of their own; the negative and
// zero pids of kill(2) could reach further than meant.
func kill(r killRequest) error {
	if r.Pid < 1 {
		return fmt.Errorf("pid %d: want a single process", r.Pid)
	}
	if err := refuseInitial(PID); err != nil {
		return err
	}
	if err := unix.Kill(r.Pid, r.Signal); err != nil {
		return fmt.Errorf("kill(%d, %s): %w", r.Pid, unix.SignalName(r.Signal), err)
	}
	return nil
}
