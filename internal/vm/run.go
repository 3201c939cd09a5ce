package vm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Command is a program to run in the guest. Args[0] is looked up in the guest's
// PATH; SelfPath there is cutaway itself.
type Command struct {
	Args           []string
	Env            []string // nil is a plain environment with PATH, HOME and TERM
	Dir            string   // "" is /root
	UID, GID       uint32   // whom to run it as
	Stdin          io.Reader
	Stdout, Stderr io.Writer // nil discards
	TTY            bool      // give it a terminal; its output all goes to Stdout
	Rows, Cols     uint16
	Resize         <-chan [2]uint16 // new {rows, columns}
}

// SelfPath is the path of this program in the guest.
const SelfPath = "/" + guestBinary

// killPatience is how long a task may take to vanish after it was killed.
const killPatience = 5 * time.Second

// Run runs a program in the guest and returns its exit code, as a shell counts (128+N
// after signal N). Several may run at once. When ctx ends, the program's process
// group is killed. An error means that it could not be started or that the machine was
// lost; then exit is -1. Output of the program itself is complete when Run
// returns; of what it left running in the background, the rest is cut off.
//
// As with os/exec, a Read of Stdin that never returns outlives Run.
func (m *Machine) Run(ctx context.Context, c Command) (exit int, err error) {
	what := fmt.Sprintf("run %q in the guest", strings.Join(c.Args, " "))
	if len(c.Args) == 0 {
		return -1, errors.New("run in the guest: no program given")
	}
	return m.task(ctx, what, c, request{Do: "run", Args: c.Args, Env: c.Env, Dir: c.Dir, UID: c.UID, GID: c.GID,
		TTY: c.TTY, Rows: c.Rows, Cols: c.Cols})
}

// Put writes a file in the guest; the folders above it are made.
func (m *Machine) Put(ctx context.Context, path string, mode fs.FileMode, content io.Reader) error {
	_, err := m.task(ctx, "put "+path+" into the guest", Command{Stdin: content}, request{Do: "put", Path: path, Mode: uint32(mode.Perm())})
	return err
}

// Get reads a file in the guest.
func (m *Machine) Get(ctx context.Context, path string, content io.Writer) error {
	_, err := m.task(ctx, "get "+path+" from the guest", Command{Stdout: content}, request{Do: "get", Path: path})
	return err
}

// task opens a stream, pumps its pipes and waits for its outcome.
func (m *Machine) task(ctx context.Context, what string, c Command, r request) (int, error) {
	s, err := m.link.Open(m.next.Add(1))
	if err != nil {
		return -1, m.lost(what, err)
	}
	defer m.link.Close(s)
	if err := m.link.SendJSON(kindOpen, s.id, r); err != nil {
		return -1, m.lost(what, err)
	}
	outputs := make(chan error, 2)
	go func() { outputs <- drain(c.Stdout, s.in[stdout]) }()
	go func() { outputs <- drain(c.Stderr, s.in[stderr]) }()
	go pumpInput(s, c.Stdin)
	go pumpResize(s, c.Resize)
	if err := waitFor(ctx, s); err != nil {
		return -1, explain(what, err)
	}
	if s.outcome.Lost != nil {
		return -1, m.lost(what, s.outcome.Lost)
	}
	if err := errors.Join(<-outputs, <-outputs); err != nil {
		return -1, fmt.Errorf("%s: pass its output on: %w", what, err)
	}
	if s.outcome.Failed != "" {
		return -1, fmt.Errorf("%s: %s", what, s.outcome.Failed)
	}
	return s.outcome.Exit, nil
}

// waitFor waits for the end of a task, and hastens it when ctx ends.
func waitFor(ctx context.Context, s *stream) error {
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	go func() { _ = s.link.Send(frame{Kind: kindSignal, Stream: s.id, Payload: []byte{byte(unix.SIGKILL)}}) }()
	select {
	case <-s.done:
	case <-time.After(killPatience):
	}
	return ctx.Err()
}

// lost prefers why the machine died over how a stream noticed.
func (m *Machine) lost(what string, err error) error {
	select {
	case <-m.failed:
		return m.failure(what)
	case <-time.After(causePatience):
		return explain(what, err) // a request that was too long
	}
}

// drain copies a task's output. After the writer fails, the rest is read and dropped:
// a full pipe would stop the task.
func drain(w io.Writer, in *inbox) error {
	if w == nil {
		w = io.Discard
	}
	_, err := io.Copy(w, in)
	if err != nil {
		_, _ = io.Copy(io.Discard, in)
	}
	return err
}

func pumpInput(s *stream, r io.Reader) {
	w := writer{s, stdin}
	if r != nil {
		_, _ = io.Copy(w, r) // the task may end before its input does
	}
	_ = w.Close()
}

func pumpResize(s *stream, sizes <-chan [2]uint16) {
	for sizes != nil {
		select {
		case size, ok := <-sizes:
			if !ok {
				return
			}
			payload := binary.LittleEndian.AppendUint16(nil, size[0])
			payload = binary.LittleEndian.AppendUint16(payload, size[1])
			_ = s.link.Send(frame{Kind: kindResize, Stream: s.id, Payload: payload})
		case <-s.done:
			return
		}
	}
}
