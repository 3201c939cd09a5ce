package vm

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// A program of our size takes half a second to start with TCG: every page and every
// function is new to QEMU. So the command that the host is about to run anyway is
// started while the kernel still looks for its devices, and waits: the spare.
//
// Its input begins with two empty lines. It may take the first, which comes when the
// guest is complete, as the sign to look around; with the second it waits for what
// the host has to say.

// spareMark on the kernel command line names the spare's command.
const spareMark = "cutaway_spare"

// spare is the program that waits. It is used once.
type spare struct {
	args []string
	task *task
}

// startSpare starts this program with a command, unless that is "".
func (a *agent) startSpare(command string) error {
	if command == "" {
		return nil
	}
	args := []string{SelfPath, command}
	t, err := a.start(request{Args: args})
	if err != nil {
		return fmt.Errorf("start %q ahead of time: %w", args, err)
	}
	a.spare = &spare{args, t}
	return nil
}

// wake gives the spare its empty lines. The pipe is empty, so this cannot wait.
func (s *spare) wake() error {
	if s == nil {
		return nil
	}
	_, err := s.task.input.WriteString("\n\n")
	return err
}

// takeSpare returns the spare when it is what the request asks for. A request for
// anything else ends it: a guest that performs no labs is to have nobody in it.
func (a *agent) takeSpare(r request) *task {
	a.mu.Lock()
	s := a.spare
	a.spare = nil
	a.mu.Unlock()
	if s == nil {
		return nil
	}
	if !slices.Equal(r.Args, s.args) || r.Env != nil || r.Dir != "" || r.UID != 0 || r.TTY {
		s.task.close()
		return nil
	}
	return s.task
}

// settlePatience bounds the wait for a spare that reads nothing.
const settlePatience = 30 * time.Second

// settle waits until the spare has read its two lines, and so waits for us.
func (a *agent) settle() error {
	a.mu.Lock()
	s := a.spare
	a.mu.Unlock()
	for deadline := time.Now().Add(settlePatience); s != nil && waiting(s.task.input) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("%q does not read its input within %v", s.args, settlePatience), os.ErrDeadlineExceeded)
		}
	}
	return nil
}
