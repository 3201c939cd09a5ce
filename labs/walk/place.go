package walk

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"cutaway/internal/journal/mark"
)

// WorkerCommand is the hidden command with which cutaway starts itself as a worker.
const WorkerCommand = "__worker"

// Place is where workers run.
type Place interface {
	Name() string   // "host", "userns" or "vm"
	Kernel() string // release of the kernel there
	// Start starts a worker on the given pipes, which it closes once it needs
	// them no longer. The token marks its processes.
	Start(ctx context.Context, token string, in, out *os.File) (Process, error)
}

// Process is a worker's process, here or in a VM.
type Process interface {
	Wait() error
	Kill() error
}

// Host is this machine. Without root it is a user namespace of this machine,
// in which the learner is root over mounts and networks of their own.
type Host struct {
	Executable string
	// As is the name to go by, when this machine is itself a guest.
	As string
}

// Name is "host" for root, "userns" for everybody else.
func (h Host) Name() string {
	if h.As != "" {
		return h.As
	}
	if os.Geteuid() == 0 {
		return "host"
	}
	return "userns"
}

// Kernel is the running kernel's release.
func (h Host) Kernel() string { return KernelRelease() }

// Start starts the worker in a new mount and net namespace (clone(2)).
func (h Host) Start(_ context.Context, token string, in, out *os.File) (Process, error) {
	defer in.Close()
	defer out.Close()
	cmd := exec.Command(h.Executable, WorkerCommand)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	cmd.Env = append(os.Environ(), mark.Variable+"="+token)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
		// Ctrl-C goes to the front alone, which then ends the lab in order.
		Setpgid: true,
	}
	if os.Geteuid() != 0 {
		asRootInside(cmd.SysProcAttr)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the lab's worker in new namespaces: %w", explainStart(err))
	}
	return child{cmd}, nil
}

type child struct{ cmd *exec.Cmd }

func (c child) Wait() error { return c.cmd.Wait() }
func (c child) Kill() error { return c.cmd.Process.Kill() }

// asRootInside maps the learner to root of a user namespace. One id is all
// that an ordinary user may map (user_namespaces(7)).
func asRootInside(attr *syscall.SysProcAttr) {
	attr.Cloneflags |= syscall.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
}

func explainStart(err error) error {
	if os.Geteuid() == 0 || !(errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EACCES)) {
		return err
	}
	return fmt.Errorf("%w: this system does not let ordinary users make user namespaces; "+
		"run it as root (sudo), or see which switch refuses: cutaway check userns.policy", err)
}

// Worker is a running worker, as the front sees it.
type Worker struct {
	events  chan Event
	stdin   *os.File
	process Process
	stop    func() bool // ends the watch over the context
}

// graceful is how long a worker may take to put things back once it is told
// to stop; after that it is killed, and the journal does it.
const graceful = 15 * time.Second

// startWorker starts the process first, and then finds out what to ask of it.
func startWorker(ctx context.Context, place Place, token string, request func() Request) (*Worker, error) {
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, inRead.Close(), inWrite.Close())
	}
	process, err := place.Start(ctx, token, inRead, outWrite)
	if err != nil {
		return nil, errors.Join(err, inWrite.Close(), outRead.Close())
	}
	w := &Worker{events: make(chan Event), stdin: inWrite, process: process}
	w.stop = context.AfterFunc(ctx, w.breakOff)
	go w.read(outRead)
	_ = w.send(request()) // one that is gone by now says no last word, which tells
	return w, nil
}

// breakOff tells the worker to stop, by the end of its input, and makes it
// stop when it does not.
func (w *Worker) breakOff() {
	w.stdin.Close()
	time.AfterFunc(graceful, func() { w.process.Kill() })
}

// wait reaps the worker once it has said its last word.
func (w *Worker) wait() error {
	w.stop()
	w.stdin.Close()
	return w.process.Wait()
}

func (w *Worker) send(v any) error { return json.NewEncoder(w.stdin).Encode(v) }

// Reply answers the worker's question.
func (w *Worker) Reply(r Reply) error { return w.send(r) }

func (w *Worker) read(out *os.File) {
	defer close(w.events)
	defer out.Close()
	lines := bufio.NewReader(out)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		if e, err := Decode(text); err == nil {
			w.events <- e
		}
	}
}
