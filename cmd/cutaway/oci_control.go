package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci"
)

func (f *ociFlags) kill() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "kill <container-id> [signal]",
		Short: "Send a signal to the container's process (default SIGTERM)",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := f.open(args)
			if err != nil {
				return err
			}
			sig, err := parseSignal(append(args, "SIGTERM")[1])
			if err != nil {
				return err
			}
			if all {
				return c.KillAll(sig)
			}
			return c.Kill(sig)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "to all processes in the container")
	return cmd
}

// parseSignal takes a number or a name, with SIG or without, in any case.
func parseSignal(word string) (unix.Signal, error) {
	if n, err := strconv.Atoi(word); err == nil {
		if n < 1 || n > 64 {
			return 0, fmt.Errorf("unknown signal %q", word)
		}
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(word)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	sig := unix.SignalNum(name)
	if sig == 0 {
		return 0, fmt.Errorf("unknown signal %q", word)
	}
	return sig, nil
}

func (f *ociFlags) delete() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "delete <container-id>",
		Short: "Remove a stopped container",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := f.runtime()
			if err != nil {
				return err
			}
			return r.Delete(args[0], force)
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "kill it first; a container that does not exist is no error")
	return cmd
}

func (f *ociFlags) pause() *cobra.Command {
	return f.simple("pause <container-id>", "Freeze all processes of a container", (*oci.Container).Pause)
}

func (f *ociFlags) resume() *cobra.Command {
	return f.simple("resume <container-id>", "Let the processes of a paused container go on", (*oci.Container).Resume)
}

// simple is a command that has one argument and does one thing.
func (f *ociFlags) simple(use, short string, do func(*oci.Container) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		c, err := f.open(args)
		if err != nil {
			return err
		}
		return do(c)
	}}
}
