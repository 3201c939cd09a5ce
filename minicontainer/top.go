package minicontainer

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"cutaway/minicontainer/oci"
)

// Top lists the processes of a container with ps(1) of the host: the columns of
// args, such as "-ef" or "o pid,cmd"; "-ef" without any.
func (e *Engine) Top(ref string, args []string) (titles []string, rows [][]string, err error) {
	c, rc, err := e.running(ref)
	if err != nil {
		return nil, nil, err
	}
	pids, err := rc.Processes()
	if err != nil {
		return nil, nil, err
	}
	if len(args) == 0 {
		args = []string{"-ef"}
	}
	out, err := exec.Command("ps", args...).Output()
	if err != nil {
		return nil, nil, invalidf("Error running ps %s: %v (package procps)", strings.Join(args, " "), err)
	}
	return parsePS(string(out), pids, c.ID)
}

// parsePS keeps the lines of ps that are about the given pids. The last column
// is the command, spaces included.
func parsePS(out string, pids []int, id string) (titles []string, rows [][]string, err error) {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	titles = strings.Fields(lines[0])
	at := slices.Index(titles, "PID")
	if at < 0 {
		return nil, nil, invalidf("Couldn't find PID field in ps output")
	}
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		if len(fields) <= at {
			continue
		}
		if pid, err := strconv.Atoi(fields[at]); err != nil || !slices.Contains(pids, pid) {
			continue
		}
		if last := len(titles) - 1; len(fields) > last {
			fields = append(fields[:last:last], strings.Join(fields[last:], " "))
		}
		rows = append(rows, fields)
	}
	return titles, rows, nil
}

// running finds a container that runs, and the runtime's side of it.
func (e *Engine) running(ref string) (*Container, *oci.Container, error) {
	c, err := e.Inspect(ref)
	if err != nil {
		return nil, nil, err
	}
	if !c.State.Running || c.State.Restarting {
		return nil, nil, conflictf("Container %s is not running", c.ID)
	}
	rc, err := e.Runtime.Open(c.ID)
	return c, rc, err
}
