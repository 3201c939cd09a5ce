package walk

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// handShell is the shell that performs a step by hand. One shell serves a
// whole lab, as one terminal would: variables and background jobs of a line
// are there for the next.
type handShell struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	output *bufio.Reader
}

// endMark is printed after each line with the line's exit status. It starts
// with a character that no program prints by accident.
const endMark = "\x1ccutaway-status "

func startHandShell(dir string) (*handShell, error) {
	cmd := exec.Command("/bin/sh")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LAB="+dir, "LC_ALL=C", "PS1=", "PATH="+shellPath())
	// A group of its own, so that its jobs can be ended with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start /bin/sh: %w", err)
	}
	write.Close()
	return &handShell{cmd: cmd, stdin: stdin, output: bufio.NewReader(output)}, nil
}

// shellPath adds the folders of system programs, which an ordinary user's PATH
// often lacks.
func shellPath() string {
	return os.Getenv("PATH") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
}

// run performs one line and waits for it. A background job goes on.
func (s *handShell) run(ctx context.Context, line string) (HandLine, error) {
	stop := context.AfterFunc(ctx, s.kill)
	defer stop()
	done := HandLine{Line: line}
	if _, err := fmt.Fprintf(s.stdin, "%s\nprintf '\\034cutaway-status %%d\\n' $?\n", line); err != nil {
		return done, fmt.Errorf("the shell has ended: %w", err)
	}
	for {
		text, err := s.output.ReadString('\n')
		before, status, found := strings.Cut(text, endMark)
		done.Output += before
		if found {
			done.Status, err = strconv.Atoi(strings.TrimSpace(status))
			return done, err
		}
		if err != nil {
			return done, fmt.Errorf("the shell ended in the line %q: %w", line, err)
		}
	}
}

func (s *handShell) kill() { syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) }

// close ends the shell and the jobs of its process group. Jobs that left the
// group carry the run's token and are swept by the journal.
func (s *handShell) close() {
	s.stdin.Close()
	s.kill()
	s.cmd.Wait()
}
