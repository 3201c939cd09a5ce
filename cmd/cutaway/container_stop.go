package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
)

// stopLike makes stop and restart, which differ in one call.
func (p *program) stopLike(use, short string, do func(api.Backend, string, *int) error) *cobra.Command {
	var seconds int
	var cmd *cobra.Command
	cmd = p.simpleVerb(use, short, func(e api.Backend, ref string) error {
		if cmd.Flags().Changed("time") {
			return do(e, ref, &seconds)
		}
		return do(e, ref, nil)
	})
	cmd.Flags().IntVarP(&seconds, "time", "t", 10, "seconds to wait for stop before killing it")
	return cmd
}

func (p *program) containerStop() *cobra.Command {
	return p.stopLike("stop [OPTIONS]", "Stop one or more running containers", api.Backend.Stop)
}

func (p *program) containerRestart() *cobra.Command {
	return p.stopLike("restart [OPTIONS]", "Restart one or more containers", api.Backend.Restart)
}

func (p *program) containerKill() *cobra.Command {
	word := "KILL"
	cmd := p.simpleVerb("kill [OPTIONS]", "Kill one or more running containers", func(e api.Backend, ref string) error {
		sig, err := minicontainer.ParseSignal(word)
		if err != nil {
			return err
		}
		return e.Kill(ref, unix.Signal(sig))
	})
	cmd.Flags().StringVarP(&word, "signal", "s", word, "signal to send to the container")
	return cmd
}

func (p *program) containerWait() *cobra.Command {
	return p.dockerCommand(&cobra.Command{
		Use: "wait CONTAINER [CONTAINER...]", Args: atLeast(1),
		Short: "Block until one or more containers stop, then print their exit codes",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withEngine(func(e api.Backend) error {
				var problems []string
				for _, ref := range args {
					code, err := e.Wait(cmd.Context(), ref)
					if err != nil {
						problems = append(problems, "Error: "+err.Error())
						continue
					}
					fmt.Fprintln(p.out, code)
				}
				return p.problems(problems)
			})
		},
	})
}

// problems says what went wrong with single objects, after the rest is done.
func (p *program) problems(list []string) error {
	if len(list) == 0 {
		return nil
	}
	fmt.Fprintln(p.err, strings.Join(list, "\n"))
	return exitError{code: exitFailed}
}

func (p *program) containerRm() *cobra.Command {
	var o minicontainer.RemoveOptions
	cmd := p.simpleVerb("rm [OPTIONS]", "Remove one or more containers", func(e api.Backend, ref string) error {
		err := e.Remove(ref, o)
		if none := (*minicontainer.NotFound)(nil); o.Force && errors.As(err, &none) {
			fmt.Fprintln(p.err, "Error:", err) // what was wanted is so: Docker says it and goes on
			return errSaid
		}
		return err
	})
	cmd.Flags().BoolVarP(&o.Force, "force", "f", false, "force the removal of a running container (uses SIGKILL)")
	cmd.Flags().BoolVarP(&o.Volumes, "volumes", "v", false, "remove anonymous volumes associated with the container")
	return cmd
}

func (p *program) containerPrune() *cobra.Command {
	var force bool
	var filters []string
	cmd := p.dockerCommand(&cobra.Command{
		Use: "prune [OPTIONS]", Short: "Remove all stopped containers", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if !force && !p.confirm("WARNING! This will remove all stopped containers.") {
				return nil
			}
			return p.withEngine(func(e api.Backend) error {
				ids, bytes, err := e.Prune(filterMap(filters))
				if len(ids) > 0 {
					fmt.Fprintf(p.out, "Deleted Containers:\n%s\n\n", strings.Join(ids, "\n"))
				}
				fmt.Fprintln(p.out, "Total reclaimed space:", humanSize(bytes))
				return err
			})
		},
	})
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not prompt for confirmation")
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "provide filter values (e.g. 'label=<key>=<value>')")
	return cmd
}

func filterMap(list []string) map[string][]string {
	all := map[string][]string{}
	for _, text := range list {
		name, value, _ := strings.Cut(text, "=")
		all[name] = append(all[name], value)
	}
	return all
}

func (p *program) containerUpdate() *cobra.Command {
	f := &runFlags{}
	var cmd *cobra.Command
	cmd = p.simpleVerb("update [OPTIONS]", "Update configuration of one or more containers", func(e api.Backend, ref string) error {
		asked := false
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { asked = asked || f.Changed })
		if !asked {
			return errors.New("you must provide one or more flags when using this command")
		}
		var o minicontainer.Options
		if err := f.limits(&o); err != nil {
			return err
		}
		var policy *minicontainer.RestartPolicy
		if cmd.Flags().Changed("restart") {
			policy = &minicontainer.RestartPolicy{}
			if err := parseRestart(f.restart, policy); err != nil {
				return err
			}
		}
		return e.Update(ref, o.Host.Resources, policy)
	})
	f.addLimits(cmd.Flags())
	cmd.Flags().StringVar(&f.restart, "restart", "", "restart policy to apply when a container exits")
	return cmd
}
