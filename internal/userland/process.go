package userland

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// process is what /proc/<pid> says of one; see proc_pid_status(5).
type process struct {
	pid, ppid   int
	uid         string
	state, comm string
	args        string
	threads     string
}

func readProcess(root string, pid int) (process, error) {
	dir := root + "/" + strconv.Itoa(pid)
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return process{}, err
	}
	p := process{pid: pid}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch key {
		case "Name":
			p.comm = fields[0]
		case "State":
			p.state = fields[0]
		case "PPid":
			p.ppid, _ = strconv.Atoi(fields[0])
		case "Uid":
			p.uid = fields[0]
		case "Threads":
			p.threads = fields[0]
		}
	}
	line, _ := os.ReadFile(dir + "/cmdline")
	p.args = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
	if p.args == "" { // a kernel thread, or a zombie
		p.args = "[" + p.comm + "]"
	}
	return p, nil
}

func runPs(c *call) error {
	f := c.flags()
	columns := f.StringP("format", "o", "pid,ppid,user,stat,args", "columns: pid ppid user stat comm args nlwp")
	f.BoolP("every", "e", true, "all processes (always so)")
	f.BoolP("all", "A", true, "all processes (always so)")
	f.BoolP("full", "f", true, "(always so)")
	if len(c.args) > 0 && !strings.HasPrefix(c.args[0], "-") {
		c.args = c.args[1:] // "ps aux", the other tradition
	}
	if err := c.parse(f, 0); err != nil {
		return err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	names := strings.Split(*columns, ",")
	tab := tabwriter.NewWriter(c.out, 0, 1, 1, ' ', 0)
	defer tab.Flush()
	fmt.Fprintln(tab, strings.ToUpper(strings.Join(names, "\t")))
	for _, pid := range pids {
		if p, err := readProcess("/proc", pid); err == nil { // else it has just ended
			fmt.Fprintln(tab, strings.Join(p.columns(names), "\t"))
		}
	}
	return nil
}

func (p process) columns(names []string) []string {
	owner := p.uid
	if u, err := user.LookupId(p.uid); err == nil {
		owner = u.Username
	}
	all := map[string]string{
		"pid": strconv.Itoa(p.pid), "ppid": strconv.Itoa(p.ppid), "user": owner, "uid": p.uid, "stat": p.state,
		"comm": p.comm, "args": p.args, "cmd": p.args, "nlwp": p.threads,
	}
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = all[strings.TrimSpace(name)]
	}
	return out
}

// runKill reads its operands itself: "-9" is a signal, not an option.
func runKill(c *call) error {
	args, sig := c.args, unix.SIGTERM
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		name := args[0][1:]
		args = args[1:]
		switch {
		case name == "l":
			return c.listSignals()
		case name == "s" && len(args) > 0:
			name, args = args[0], args[1:]
		}
		var err error
		if sig, err = signalNamed(name); err != nil {
			return err
		}
	}
	if len(args) == 0 {
		return errors.New("want [-SIGNAL] PID")
	}
	for _, text := range args {
		pid, err := strconv.Atoi(text)
		if err == nil {
			err = unix.Kill(pid, sig)
		}
		if err != nil {
			c.complain(fmt.Errorf("%s: %s", text, reason(err)))
		}
	}
	return nil
}

func (c *call) listSignals() error {
	for n := range 31 {
		fmt.Fprintf(c.out, "%2d) %s\n", n+1, unix.SignalName(unix.Signal(n+1)))
	}
	return nil
}

func signalNamed(name string) (unix.Signal, error) {
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n <= 64 {
		return unix.Signal(n), nil
	}
	if sig := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG")); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("%s: no such signal (kill -l lists them)", name)
}

func runSleep(c *call) error {
	if err := c.parse(c.flags(), 1); err != nil {
		return err
	}
	var total time.Duration
	for _, text := range c.args {
		if text == "infinity" || text == "inf" {
			text = "36500d"
		}
		d, err := parseSeconds(text)
		if err != nil {
			return err
		}
		total += d
	}
	time.Sleep(total)
	return nil
}
