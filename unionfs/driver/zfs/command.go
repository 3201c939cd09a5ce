package zfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// run calls zfs(8). Its errors come as text, so what a caller wants to tell
// apart is turned into the errno that it stands for.
func run(args ...string) (string, error) {
	cmd := exec.Command("zfs", args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	out, err := cmd.Output()
	if err == nil {
		return string(out), nil
	}
	text := ""
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		text = strings.TrimSpace(string(exit.Stderr))
	}
	return "", &commandError{args: args, text: text, err: err}
}

// What zfs says beyond what an errno can: errBusy passes by itself, "has
// dependent clones" does not.
var (
	errNotMounted = errors.New("not mounted")
	errBusy       = errors.New("dataset is busy")
)

type commandError struct {
	args []string
	text string
	err  error
}

func (e *commandError) Error() string {
	return fmt.Sprintf("zfs %s: %v: %s", strings.Join(e.args, " "), e.err, e.text)
}

func (e *commandError) Unwrap() error { return e.err }

// Is lets errors.Is find the errno behind a message.
func (e *commandError) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return strings.Contains(e.text, "does not exist") || strings.Contains(e.text, "could not find")
	case errNotMounted:
		return strings.Contains(e.text, "not currently mounted")
	case fs.ErrExist:
		return strings.Contains(e.text, "already exists")
	case errBusy:
		return strings.Contains(e.text, "is busy")
	case unix.EBUSY:
		return strings.Contains(e.text, "is busy") || strings.Contains(e.text, "has dependent clones")
	}
	return false
}

// fields calls zfs with -H output, one line per row and tabs between columns.
func fields(args ...string) ([][]string, error) {
	out, err := run(args...)
	if err != nil {
		return nil, err
	}
	return parseTable(out), nil
}

// parseTable reads the output of `zfs list -H`.
func parseTable(out string) [][]string {
	var rows [][]string
	for line := range strings.Lines(out) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows
}
