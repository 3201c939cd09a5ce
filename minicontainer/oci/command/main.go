package command

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"cutaway/minicontainer/oci"
)

// The exit statuses that are not a container's own.
const (
	failed     = 1
	wrongUsage = 2
	execFailed = 255 // 1 could be the program's own
)

// See doc.go for why this is an init function. Under another name main gets here
// too, only later: the applets of the built-in image are this program as well, and
// `echo oci` means something else.
func init() {
	if path.Base(os.Args[0]) != "cutaway" || len(os.Args) < 2 || os.Args[1] != "oci" || mayAskVersion(os.Args[2:]) {
		return
	}
	// On another goroutine: until main begins this one is bound to the first thread,
	// and two threads would have to change places whenever it waits for a third.
	go func() { os.Exit(Run(os.Args[2:], os.Stdin, os.Stdout, os.Stderr)) }()
	select {}
}

// PrintVersion prints the lines that engines read of a runtime. Package main sets
// it: the packages that know the version are initialised too late for all else here.
var PrintVersion func(io.Writer)

// mayAskVersion: where it looks like that, main gets here.
func mayAskVersion(line []string) bool {
	return slices.ContainsFunc(line, func(word string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
		return strings.HasPrefix(word, "-") && (name == "version" || name == "v")
	})
}

// call is one call of the runtime: its streams, and runc's global options.
type call struct {
	in        io.Reader
	out, errs io.Writer

	root, log, logFormat          string
	systemdCgroup, debug, version bool
}

// Run does what the words after "oci" say and returns the exit status.
func Run(line []string, in io.Reader, out, errs io.Writer) int {
	c := &call{in: in, out: out, errs: errs}
	global := c.options()
	rest, err := global.parse(line, false)
	switch {
	case err == nil && c.version:
		PrintVersion(out)
		return 0
	case errors.Is(err, flag.ErrHelp), err == nil && len(rest) == 0:
		printHelp(out, global)
		return 0
	case err != nil:
		return c.refuse(err)
	}
	v := c.verb(rest[0])
	if v == nil {
		return c.refuse(fmt.Errorf("there is no verb %q; `cutaway oci --help` lists them", rest[0]))
	}
	v.adopt(global)
	args, err := v.parse(rest[1:], !v.passes)
	switch {
	case errors.Is(err, flag.ErrHelp):
		v.printHelp(out)
		return 0
	case err != nil:
		return c.refuse(fmt.Errorf("%s: %w; see `cutaway oci %s --help`", v.name, err, v.name))
	case len(args) < v.least || len(args) > v.most:
		return c.refuse(fmt.Errorf("%s: %d arguments do not fit: cutaway oci %s %s", v.name, len(args), v.name, v.args))
	}
	if !c.debug {
		return c.end(v, v.do(args))
	}
	c.write("debug", fmt.Sprintf("%s %q, by process %d", v.name, args, os.Getppid()))
	begun := time.Now()
	code := c.end(v, v.do(args))
	c.write("debug", fmt.Sprintf("%s ends with %d after %s", v.name, code, time.Since(begun).Round(time.Microsecond)))
	return code
}

// options are runc's global ones.
func (c *call) options() options {
	o := newOptions()
	o.StringVar(&c.root, "root", "/run/cutaway/oci", "folder for the state of containers, on a tmpfs")
	o.StringVar(&c.log, "log", "", "file to write the log to, beside standard error")
	o.StringVar(&c.logFormat, "log-format", "text", "format of the log: text or json")
	o.BoolVar(&c.debug, "debug", false, "write to the log with what the runtime was called, and how long that took")
	o.BoolVar(&c.version, "version", false, "print the version")
	o.letter("v", "version")
	o.BoolVar(&c.systemdCgroup, "systemd-cgroup", false, "have systemd make the cgroups (refused: see the error)")
	o.String("criu", "", "ignored: there is no checkpoint and restore")
	o.String("rootless", "auto", "ignored: found out by itself")
	return o
}

// refuse is the end of a call that nobody could have meant.
func (c *call) refuse(err error) int {
	fmt.Fprintln(c.errs, "cutaway: oci:", err)
	return wrongUsage
}

// status is the error of a verb that did its work: the container's exit status.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// end makes an exit status of what a verb came to.
func (c *call) end(v *verb, err error) int {
	var own status
	switch {
	case err == nil:
		return 0
	case errors.As(err, &own):
		return int(own)
	case v.name == "exec":
		c.fail("exec failed: " + err.Error())
		return execFailed
	}
	// runc's own words: engines look for them, whatever the runtime is called.
	c.fail(fmt.Sprintf("runc %s failed: %s", v.name, err))
	return failed
}

// runtime opens the state directory, once the global options were found sensible.
func (c *call) runtime() (*oci.Runtime, error) {
	if c.systemdCgroup {
		return nil, c.refuseSystemd()
	}
	return &oci.Runtime{Root: c.root, Warn: func(err error) { c.write("warning", err.Error()) }}, nil
}

// refuseSystemd tells why and what to do: the runtime writes cgroup files itself.
func (c *call) refuseSystemd() error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return errors.New("systemd not running on this host, cannot use systemd cgroups manager")
	}
	return errors.New("--systemd-cgroup is not supported: cutaway writes the cgroup files itself; " +
		"leave the flag out (Podman: --cgroup-manager=cgroupfs; Docker: native.cgroupdriver=cgroupfs)")
}

// open finds the container that the first argument names.
func (c *call) open(args []string) (*oci.Container, error) {
	r, err := c.runtime()
	if err != nil {
		return nil, err
	}
	return r.Open(args[0])
}
