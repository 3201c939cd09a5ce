package walk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/creack/pty"

	"cutaway/internal/inside"
	"cutaway/labs/bench"
)

// serveShell gives the learner a shell in the lab: in the namespaces of a
// process (pid), or on the lab host (pid 0). Its terminal is made here, on the
// worker's side, and its bytes travel as events and replies, so that it works
// through a virtual machine as well.
func (w *worker) serveShell(ctx context.Context, dir string, pid int, size Reply) {
	err := w.shell(ctx, dir, pid, size)
	done := TTYEvent{Done: true}
	if err != nil {
		done.Error = err.Error()
	}
	w.emit(done)
}

func (w *worker) shell(ctx context.Context, dir string, pid int, size Reply) error {
	master, slave, err := pty.Open()
	if err != nil {
		return fmt.Errorf("open a terminal: %w", err)
	}
	defer master.Close()
	pty.Setsize(master, &pty.Winsize{Rows: size.Rows, Cols: size.Cols})
	end, err := startShell(ctx, dir, pid, slave)
	slave.Close()
	if err != nil {
		return fmt.Errorf("start a shell: %w", err)
	}
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- w.copyOut(master) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case r := <-w.replies:
			feed(master, r)
		}
	}
}

// startShell starts the shell on the lab host (pid 0) or in the namespaces of
// a process, and returns what ends it.
func startShell(ctx context.Context, dir string, pid int, slave *os.File) (end func(), err error) {
	env := append(os.Environ(), "LAB="+dir, "PATH="+shellPath(), "PS1="+prompt(pid))
	if pid == 0 {
		cmd := exec.Command("/bin/sh", "-i")
		cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, slave, slave, slave
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
		return func() { cmd.Process.Kill(); cmd.Wait() }, cmd.Start()
	}
	h, err := bench.Enter(ctx, pid, env, slave)
	if err != nil {
		return nil, err
	}
	if err := h.Call(ctx, startTheShell, nil, nil); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return func() { h.Close() }, nil
}

const startTheShell = "walk.shell"

func init() { inside.Register(startTheShell, shellInside) }

// shellInside runs in a helper: it starts a shell on the terminal that it was
// given as fd 4. The shell is a child, since only who leads no process group
// may begin a session, and a helper leads one. The helper's own hold on the
// terminal is let go of, so that the shell's end is the terminal's end.
func shellInside(context.Context, json.RawMessage) (any, error) {
	terminal := os.NewFile(4, "terminal")
	defer terminal.Close()
	cmd := exec.Command("/bin/sh", "-i")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go cmd.Wait() // reaps it
	return nil, nil
}

func prompt(pid int) string {
	if pid == 0 {
		return "lab host# "
	}
	return "inside# "
}

func feed(terminal *os.File, r Reply) {
	switch r.Do {
	case TTY:
		terminal.Write(r.Data)
	case Resize:
		pty.Setsize(terminal, &pty.Winsize{Rows: r.Rows, Cols: r.Cols})
	}
}

// copyOut sends what the shell prints until it ends. Reading the master of a
// terminal whose last user is gone fails with EIO: that is its end of file.
func (w *worker) copyOut(terminal io.Reader) error {
	buf := make([]byte, 4096)
	for {
		n, err := terminal.Read(buf)
		if n > 0 {
			w.emit(TTYEvent{Data: buf[:n]})
		}
		if err == nil {
			continue
		}
		if errors.Is(err, syscall.EIO) || err == io.EOF {
			return nil
		}
		return err
	}
}
