package labs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer/oci"
)

// attempt runs a command in the container and writes down what it said and how
// it ended, as `sh -c` would.
func (x bundle) attempt(ctx context.Context, b *bench.Bench, what, command string) error {
	c, err := runtimeOf(b).Open(x.name)
	if err != nil {
		return err
	}
	file, err := os.Create(x.attemptFile(b, what))
	if err != nil {
		return err
	}
	defer file.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	p := *c.Spec.Process
	p.Args = []string{"sh", "-c", command}
	started, err := c.Exec(&p, oci.Options{Stdio: [3]*os.File{null, file, file}})
	if err != nil {
		return fmt.Errorf("exec in %s: %w", x.name, err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(started.Pid, &status, 0, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "exit %d\n", exitStatus(status))
	return err
}

func exitStatus(w unix.WaitStatus) int {
	if w.Signaled() {
		return 128 + int(w.Signal())
	}
	return w.ExitStatus()
}

func (x bundle) attemptFile(b *bench.Bench, what string) string {
	return b.Path(x.name + "." + strings.ReplaceAll(what, " ", "-"))
}

func (x bundle) attemptLine(b *bench.Bench, what, command string) string {
	file := filepath.Base(x.attemptFile(b, what))
	return ociLine + "exec " + x.name + " sh -c " + shellQuote(command) + " > " + file + " 2>&1 < /dev/null; echo exit $? >> " + file
}

// attempted reads what came of an attempt: "allowed", or the last words of the
// program that was refused.
func (x bundle) attempted(b *bench.Bench, what string) string {
	text, err := os.ReadFile(x.attemptFile(b, what))
	if err != nil {
		return evidence.Absent
	}
	said, exit, found := strings.Cut(strings.TrimSpace(string(text)), "exit ")
	switch {
	case !found:
		return evidence.Absent
	case exit == "0":
		return "allowed"
	}
	lines := strings.Split(strings.TrimSpace(said), "\n")
	_, reason, found := cutLast(lines[len(lines)-1], ": ")
	if !found {
		reason = "exit status " + exit
	}
	return "refused: " + reason
}

// cutLast is strings.Cut from the end.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
