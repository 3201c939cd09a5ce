package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/minicontainer/oci"
)

// execOptions are the parts of a process object.
type execOptions struct {
	oci.Options
	process, cwd, user, label, profile string
	env, caps, groups                  words
	tty, detach, noNewPrivs            bool
}

func (c *call) exec() *verb {
	o := &execOptions{}
	v := newVerb("exec", "<container-id> <command> [argument ...]", "Start one more process in a running container", 1, many)
	v.passes = true
	o.add(v)
	v.do = func(args []string) error {
		box, err := c.open(args)
		if err != nil {
			return err
		}
		p, err := o.build(box, args[1:], v.given())
		if err != nil {
			return err
		}
		return o.execute(box, p)
	}
	return v
}

func (o *execOptions) add(v *verb) {
	v.StringVar(&o.process, "process", "", "file with the process object as JSON")
	v.letter("p", "process")
	v.StringVar(&o.cwd, "cwd", "", "working directory")
	v.Var(&o.env, "env", "environment variable, `key=value`")
	v.letter("e", "env")
	v.BoolVar(&o.tty, "tty", false, "allocate a terminal")
	v.letter("t", "tty")
	v.StringVar(&o.user, "user", "", "`uid[:gid]`")
	v.letter("u", "user")
	v.Var(&o.groups, "additional-gids", "one more group, by its `gid`")
	v.letter("g", "additional-gids")
	v.BoolVar(&o.detach, "detach", false, "do not wait for the process")
	v.letter("d", "detach")
	v.StringVar(&o.PidFile, "pid-file", "", "file to write the process id to")
	v.StringVar(&o.ConsoleSocket, "console-socket", "", "unix socket that gets the terminal's master side")
	v.IntVar(&o.Preserve, "preserve-fds", 0, "pass so many more descriptors, from 3 on")
	v.StringVar(&o.label, "process-label", "", "SELinux label")
	v.StringVar(&o.profile, "apparmor", "", "AppArmor profile")
	v.BoolVar(&o.noNewPrivs, "no-new-privs", false, "no more privileges by setuid programs")
	v.Var(&o.caps, "cap", "add a `capability` to all sets")
	v.letter("c", "cap")
	v.Var((*words)(&o.Cgroups), "cgroup", "run in a cgroup below the container's: `[controller,...:]path`")
	v.BoolVar(&o.IgnorePaused, "ignore-paused", false, "do it in a paused container too, where it will wait")
}

// build takes the container's own process object and changes what was asked for.
func (o *execOptions) build(box *oci.Container, command []string, given map[string]bool) (*specs.Process, error) {
	p := *box.Spec.Process
	if o.process != "" {
		text, err := os.ReadFile(o.process)
		if err != nil {
			return nil, err
		}
		var own specs.Process
		if err := json.Unmarshal(text, &own); err != nil {
			return nil, fmt.Errorf("%s: %w", o.process, err)
		}
		return &own, nil
	}
	if len(command) == 0 {
		return nil, errors.New("process args cannot be empty")
	}
	p.Args, p.Terminal = command, o.tty
	p.Env = append(append([]string{}, p.Env...), o.env...)
	if o.cwd != "" {
		p.Cwd = o.cwd
	}
	if given["no-new-privs"] {
		p.NoNewPrivileges = o.noNewPrivs
	}
	if o.profile != "" {
		p.ApparmorProfile = o.profile
	}
	if o.label != "" {
		p.SelinuxLabel = o.label
	}
	p.Capabilities = addCaps(p.Capabilities, o.caps)
	return &p, o.setUser(&p)
}

// setUser reads uid[:gid] and the additional groups.
func (o *execOptions) setUser(p *specs.Process) error {
	if o.user != "" {
		uid, gid, both := strings.Cut(o.user, ":")
		n, err := strconv.ParseUint(uid, 10, 32)
		if err != nil {
			return fmt.Errorf("parsing %s as int for uid failed: %w", uid, err)
		}
		p.User.UID = uint32(n)
		if both {
			if n, err = strconv.ParseUint(gid, 10, 32); err != nil {
				return fmt.Errorf("parsing %s as int for gid failed: %w", gid, err)
			}
			p.User.GID = uint32(n)
		}
	}
	for _, g := range o.groups {
		n, err := strconv.ParseUint(g, 10, 32)
		if err != nil {
			return fmt.Errorf("parsing %s as int for gid failed: %w", g, err)
		}
		p.User.AdditionalGids = append(p.User.AdditionalGids, uint32(n))
	}
	return nil
}

func addCaps(have *specs.LinuxCapabilities, more []string) *specs.LinuxCapabilities {
	if len(more) == 0 {
		return have
	}
	var c specs.LinuxCapabilities
	if have != nil {
		c = *have
	}
	for _, set := range []*[]string{&c.Bounding, &c.Effective, &c.Permitted, &c.Inheritable, &c.Ambient} {
		*set = append(append([]string{}, *set...), more...)
	}
	return &c
}

func (o *execOptions) execute(box *oci.Container, p *specs.Process) error {
	o.Front = !o.detach
	started, err := box.Exec(p, o.Options)
	if err != nil || o.detach {
		return err
	}
	code, err := waitFor(started.Pid, started.Terminal)
	if err != nil {
		return err
	}
	return status(code)
}

// waitFor passes the terminal and signals on until the process ends.
func waitFor(pid int, t *oci.Terminal) (int, error) {
	if t == nil {
		return oci.Wait(pid)
	}
	if err := t.Attach(os.Stdin, os.Stdout); err != nil {
		return 0, err
	}
	status, err := oci.Wait(pid)
	return status, errors.Join(err, t.Close(os.Stdin))
}
