package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo"
)

// Status asks the kernel what the container is doing now.
func (c *Container) Status() Status {
	switch {
	case !c.alive():
		return Stopped
	case !c.Made:
		return Creating
	case c.frozen():
		return Paused
	}
	if _, err := os.Lstat(c.fifoPath()); err == nil {
		return Created
	}
	return Running
}

func (c *Container) fifoPath() string { return c.rt.store().dir(c.ID) + "/exec.fifo" }

func (c *Container) frozen() bool {
	g, err := c.openGroups()
	return err == nil && g.FreezerState().Value == cgroupdemo.Frozen
}

// Start lets the user's program run: one byte into exec.fifo. The poststart
// hooks follow; if one fails, the container is stopped again.
func (c *Container) Start() error {
	lock, err := c.rt.store().lock(c.ID)
	if err != nil {
		return err
	}
	defer lock.Close()
	switch status := c.Status(); status {
	case Created:
	case Stopped:
		return errors.New("cannot start a container that has stopped")
	case Running:
		return errors.New("cannot start an already running container")
	default:
		return fmt.Errorf("cannot start a container in the %s state", status)
	}
	if err := c.release(); err != nil {
		return err
	}
	if err := c.awaitExec(); err != nil {
		return err
	}
	if err := runHooks("poststart", c.Bundle, hookLists(c.Spec).Poststart, c.hookState(specs.StateRunning)); err != nil {
		return errors.Join(err, c.signal(unix.SIGKILL))
	}
	return nil
}

// awaitExec waits until the program runs, where this process made the container.
// Others do not hear why it may not.
func (c *Container) awaitExec() error {
	if c.stage == nil {
		return nil
	}
	defer c.stage.near.f.Close()
	return c.stage.awaitExec()
}

// release writes the byte that init waits for, and removes the fifo: its
// absence is what "running" means. ENXIO from the open says that init is dead.
func (c *Container) release() error {
	fd, err := unix.Open(c.fifoPath(), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENXIO) {
		return errors.New("container process is already dead")
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: c.fifoPath(), Err: err}
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte{0}); err != nil {
		return &os.PathError{Op: "write", Path: c.fifoPath(), Err: err}
	}
	return os.Remove(c.fifoPath())
}

// Kill sends a signal to the container's process (pidfd_send_signal(2)).
func (c *Container) Kill(sig unix.Signal) error {
	if c.Status() == Stopped {
		return ErrNotRunning
	}
	if err := c.signal(sig); err != nil {
		return err
	}
	// A frozen process of cgroup v1 would only die when it is thawed.
	if sig == unix.SIGKILL && c.frozen() {
		return c.Resume()
	}
	return nil
}

func (c *Container) signal(sig unix.Signal) error {
	fd, err := c.openPidfd()
	if err != nil {
		return err
	}
	defer fd.Close()
	err = unix.PidfdSendSignal(int(fd.Fd()), sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return ErrNotRunning
	}
	if err != nil {
		return fmt.Errorf("pidfd_send_signal %s: %w", unix.SignalName(sig), err)
	}
	return nil
}

// KillAll signals every process in the container's cgroup: without a pid
// namespace of its own, others survive the first one.
func (c *Container) KillAll(sig unix.Signal) error {
	pids, err := c.Processes()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill(%d, %s): %w", pid, unix.SignalName(sig), err)
		}
	}
	return nil
}

// Processes lists the pids of all processes in the container, as the host sees them.
func (c *Container) Processes() ([]int, error) {
	g, err := c.openGroups()
	if err != nil {
		return nil, err
	}
	return g.Processes()
}

// Pause freezes all processes of a container that is running.
func (c *Container) Pause() error {
	if s := c.Status(); s != Running && s != Created {
		return fmt.Errorf("%w: %s", ErrNotRunning, s)
	}
	return c.switchFreezer((*cgroupdemo.Group).Freeze)
}

// Resume lets them go on.
func (c *Container) Resume() error {
	if c.Status() != Paused {
		return ErrNotPaused
	}
	return c.switchFreezer((*cgroupdemo.Group).Thaw)
}

func (c *Container) switchFreezer(do func(*cgroupdemo.Group, context.Context) error) error {
	g, err := c.openGroups()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return do(g, ctx)
}
