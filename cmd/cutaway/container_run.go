package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
)

func (p *program) containerRun() *cobra.Command {
	f := &runFlags{startsNext: true}
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "run [OPTIONS] IMAGE [COMMAND] [ARG...]",
		Short: "Run a command in a new container",
		Args:  atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.startError(p.withEngine(func(e api.Backend) error { return p.run(cmd, e, f, args) }))
		},
	})
	f.add(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&f.detach, "detach", "d", false, "run container in background and print container ID")
	flags.BoolVar(&f.sigProxy, "sig-proxy", true, "proxy received signals to the process")
	flags.StringVar(&f.detachKeys, "detach-keys", defaultDetachKeys, "override the key sequence for detaching a container")
	return cmd
}

func (p *program) run(cmd *cobra.Command, e api.Backend, f *runFlags, args []string) error {
	if f.detach && len(f.attach) > 0 {
		return p.dockerError(errors.New("conflicting options: cannot specify both --attach and --detach"))
	}
	c, err := p.create(cmd, e, f, args)
	if err != nil {
		return err
	}
	if f.detach {
		s, err := e.Start(c.ID, nil)
		if err != nil {
			return err
		}
		fmt.Fprintln(p.out, c.ID)
		return s.Close()
	}
	front := p.inFront(f.tty, f.interactive, f.attach)
	front.detachKeys, front.signals = f.detachKeys, f.sigProxy
	return front.stay(e, c.ID, e.Start)
}

// startError ends with the codes of Docker's run: 125 for what went wrong before
// the program, 126 and 127 for a program that could not be executed.
func (p *program) startError(err error) error {
	var exit exitError
	if err == nil || errors.As(err, &exit) {
		return err
	}
	fmt.Fprintln(p.err, "Error:", err)
	return exitError{code: minicontainer.ExitCode(err)}
}

func (p *program) containerStart() *cobra.Command {
	var attach, interactive bool
	keys := ""
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "start [OPTIONS] CONTAINER [CONTAINER...]",
		Short: "Start one or more stopped containers",
		Args:  atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if !attach && !interactive {
				return p.eachContainer(args, func(e api.Backend, ref string) error {
					s, err := e.Start(ref, nil)
					if s != nil {
						s.Close()
					}
					return err
				})
			}
			if len(args) > 1 {
				return errors.New("you cannot start and attach multiple containers at once")
			}
			return p.withEngine(func(e api.Backend) error { return p.startInFront(e, args[0], interactive, keys) })
		},
	})
	flags := cmd.Flags()
	flags.BoolVarP(&attach, "attach", "a", false, "attach STDOUT/STDERR and forward signals")
	flags.BoolVarP(&interactive, "interactive", "i", false, "attach container's STDIN")
	flags.StringVar(&keys, "detach-keys", defaultDetachKeys, "override the key sequence for detaching a container")
	return cmd
}

func (p *program) startInFront(e api.Backend, ref string, interactive bool, keys string) error {
	c, err := e.Inspect(ref)
	if err != nil {
		return err
	}
	front := p.inFront(c.Config.Tty, interactive && c.Config.OpenStdin, nil)
	front.detachKeys, front.signals = keys, true
	return front.stay(e, c.ID, e.Start)
}

func (p *program) containerAttach() *cobra.Command {
	var noStdin, sigProxy bool
	keys := ""
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "attach [OPTIONS] CONTAINER",
		Short: "Attach local standard input, output, and error streams to a running container",
		Args:  exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withEngine(func(e api.Backend) error {
				c, err := e.Inspect(args[0])
				if err != nil {
					return err
				}
				front := p.inFront(c.Config.Tty, c.Config.OpenStdin && !noStdin, nil)
				front.detachKeys, front.signals = keys, sigProxy
				return front.stay(e, c.ID, e.Attach)
			})
		},
	})
	flags := cmd.Flags()
	flags.BoolVar(&noStdin, "no-stdin", false, "do not attach STDIN")
	flags.BoolVar(&sigProxy, "sig-proxy", true, "proxy all received signals to the process")
	flags.StringVar(&keys, "detach-keys", defaultDetachKeys, "override the key sequence for detaching a container")
	return cmd
}

func (p *program) containerExec() *cobra.Command {
	var o minicontainer.ExecOptions
	var interactive bool
	var envFile []string
	keys := ""
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "exec [OPTIONS] CONTAINER COMMAND [ARG...]",
		Short: "Run a command in a running container",
		Args:  atLeast(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.execError(p.withEngine(func(e api.Backend) (err error) {
				o.Cmd = args[1:]
				if o.Env, err = environment(envFile, o.Env); err != nil {
					return err
				}
				return p.exec(e, args[0], o, interactive, keys)
			}))
		},
	})
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.BoolVarP(&interactive, "interactive", "i", false, "keep STDIN open even if not attached")
	flags.BoolVarP(&o.Tty, "tty", "t", false, "allocate a pseudo-TTY")
	flags.BoolVarP(&o.Detach, "detach", "d", false, "detached mode: run command in the background")
	flags.StringArrayVarP(&o.Env, "env", "e", nil, "set environment variables")
	flags.StringArrayVar(&envFile, "env-file", nil, "read in a file of environment variables")
	flags.StringVarP(&o.User, "user", "u", "", "username or UID (format: <name|uid>[:<group|gid>])")
	flags.StringVarP(&o.WorkingDir, "workdir", "w", "", "working directory inside the container")
	flags.BoolVar(&o.Privileged, "privileged", false, "give extended privileges to the command")
	flags.StringVar(&keys, "detach-keys", defaultDetachKeys, "override the key sequence for detaching a container")
	return cmd
}

func (p *program) exec(e api.Backend, ref string, o minicontainer.ExecOptions, interactive bool, keys string) error {
	if o.Detach {
		s, err := e.Exec(ref, o, nil)
		if err != nil {
			return err
		}
		return s.Close()
	}
	if err := checkTerminal(o.Tty && interactive, p.in); err != nil {
		return err
	}
	front := p.inFront(o.Tty, interactive, nil)
	front.detachKeys = keys
	return front.stay(e, ref, func(ref string, s *minicontainer.Streams) (api.Process, error) {
		o.Size = front.size()
		return e.Exec(ref, o, s)
	})
}

// execError: Docker's exec ends with 126 or 127 for a program that could not be
// executed, and with 1 for all else.
func (p *program) execError(err error) error {
	var start *minicontainer.StartError
	if errors.As(err, &start) && start.Code != 125 {
		return p.startError(err)
	}
	return p.dockerError(err)
}
