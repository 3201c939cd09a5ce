package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"cutaway/minicontainer/oci"
)

// execFlags are the options of exec: the parts of a process object.
type execFlags struct {
	oci.Options
	process, cwd, user, label, profile string
	env, caps                          []string
	groups                             []string
	tty, detach, noNewPrivs            bool
}

func (f *ociFlags) exec() *cobra.Command {
	e := &execFlags{}
	cmd := &cobra.Command{
		Use:   "exec <container-id> <command> [argument ...]",
		Short: "Start one more process in a running container",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.open(args)
			if err != nil {
				return err
			}
			p, err := e.build(c, args[1:], cmd.Flags().Changed)
			if err != nil {
				return err
			}
			return e.execute(c, p)
		},
	}
	e.add(cmd)
	return cmd
}

func (e *execFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what follows the name belongs to the command
	flags.StringVarP(&e.process, "process", "p", "", "file with the process object as JSON")
	flags.StringVar(&e.cwd, "cwd", "", "working directory")
	flags.StringArrayVarP(&e.env, "env", "e", nil, "environment variable, key=value")
	flags.BoolVarP(&e.tty, "tty", "t", false, "allocate a terminal")
	flags.StringVarP(&e.user, "user", "u", "", "uid[:gid]")
	flags.StringArrayVarP(&e.groups, "additional-gids", "g", nil, "more groups")
	flags.BoolVarP(&e.detach, "detach", "d", false, "do not wait for the process")
	flags.StringVar(&e.PidFile, "pid-file", "", "file to write the process id to")
	flags.StringVar(&e.ConsoleSocket, "console-socket", "", "unix socket that gets the terminal's master side")
	flags.IntVar(&e.Preserve, "preserve-fds", 0, "pass so many more descriptors, from 3 on")
	flags.StringVar(&e.label, "process-label", "", "SELinux label")
	flags.StringVar(&e.profile, "apparmor", "", "AppArmor profile")
	flags.BoolVar(&e.noNewPrivs, "no-new-privs", false, "no more privileges by setuid programs")
	flags.StringArrayVarP(&e.caps, "cap", "c", nil, "add a capability to all sets")
	flags.BoolVar(&e.IgnorePaused, "ignore-paused", false, "do it in a paused container too, where it will wait")
}

// build takes the container's own process object and changes what was asked for.
func (e *execFlags) build(c *oci.Container, command []string, given func(string) bool) (*specs.Process, error) {
	p := *c.Spec.Process
	if e.process != "" {
		text, err := os.ReadFile(e.process)
		if err != nil {
			return nil, err
		}
		var own specs.Process
		if err := json.Unmarshal(text, &own); err != nil {
			return nil, fmt.Errorf("%s: %w", e.process, err)
		}
		return &own, nil
	}
	if len(command) == 0 {
		return nil, errors.New("process args cannot be empty")
	}
	p.Args, p.Terminal = command, e.tty
	p.Env = append(append([]string{}, p.Env...), e.env...)
	if e.cwd != "" {
		p.Cwd = e.cwd
	}
	if given("no-new-privs") {
		p.NoNewPrivileges = e.noNewPrivs
	}
	if e.profile != "" {
		p.ApparmorProfile = e.profile
	}
	if e.label != "" {
		p.SelinuxLabel = e.label
	}
	p.Capabilities = addCaps(p.Capabilities, e.caps)
	return &p, e.setUser(&p)
}

// setUser reads uid[:gid] and the additional groups.
func (e *execFlags) setUser(p *specs.Process) error {
	if e.user != "" {
		uid, gid, both := strings.Cut(e.user, ":")
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
	for _, g := range e.groups {
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

func (e *execFlags) execute(c *oci.Container, p *specs.Process) error {
	e.Front = !e.detach
	started, err := c.Exec(p, e.Options)
	if err != nil || e.detach {
		return err
	}
	status, err := waitFor(started.Pid, started.Terminal)
	if err != nil {
		return err
	}
	return exitError{code: status}
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
