package labs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer/oci"
)

// attempt runs a command in the container and writes down what it said and how
// it ended.
func (x bundle) attempt(b *bench.Bench, t try) error {
	c, err := runtimeOf(b).Open(x.name)
	if err != nil {
		return err
	}
	file, err := os.Create(b.Path(x.name + "." + t.file))
	if err != nil {
		return err
	}
	defer file.Close()
	status, err := execIn(c, t.command, file)
	if err != nil {
		return fmt.Errorf("exec in %s: %w", x.name, err)
	}
	_, err = fmt.Fprintf(file, "exit %d\n", status)
	return err
}

// execIn runs a shell command in a container, as its own process's user and
// with that one's capabilities, and waits for it.
func execIn(c *oci.Container, command string, out *os.File) (int, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	p := *c.Spec.Process
	p.Args = []string{"sh", "-c", command}
	started, err := c.Exec(&p, oci.Options{Stdio: [3]*os.File{null, out, out}})
	if err != nil {
		return 0, err
	}
	var status unix.WaitStatus
	for {
		if _, err = unix.Wait4(started.Pid, &status, 0, nil); err != unix.EINTR {
			return exitStatus(status), err
		}
	}
}

// exitStatus is a status as the shell has it in $?.
func exitStatus(w unix.WaitStatus) int {
	if w.Signaled() {
		return 128 + int(w.Signal())
	}
	return w.ExitStatus()
}

// attempted reads what came of an attempt: "allowed", how it was killed, or the
// last words of the program that was refused.
func (x bundle) attempted(b *bench.Bench, t try) string {
	text, err := os.ReadFile(b.Path(x.name + "." + t.file))
	if err != nil {
		return evidence.Absent
	}
	said, exit, found := strings.Cut(string(text), "exit ")
	if !found {
		return evidence.Absent
	}
	return outcome(strings.TrimSpace(said), strings.TrimSpace(exit))
}

func outcome(said, exit string) string {
	status, err := strconv.Atoi(exit)
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return evidence.Absent
	case status == 0:
		return "allowed"
	case status > 128 && status < 160:
		return "killed by " + unix.SignalName(unix.Signal(status-128))
	}
	last := said[strings.LastIndex(said, "\n")+1:]
	if i := strings.LastIndex(last, ": "); i >= 0 {
		return refused(last[i+2:])
	}
	return refused("exit status " + exit)
}
