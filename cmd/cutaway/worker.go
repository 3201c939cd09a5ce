package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"cutaway/internal/probe"
	"cutaway/labs"
	"cutaway/labs/bench"
	"cutaway/labs/walk"
)

// workerCommand performs one lab for the front that started it.
func (p *program) workerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    walk.WorkerCommand,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM)
			defer stop()
			return walk.Work(ctx, labs.Find, os.Stdin, os.Stdout)
		},
	}
}

// relayCommand is the front inside a virtual machine.
func (p *program) relayCommand() *cobra.Command {
	return &cobra.Command{
		Use:    walk.RelayCommand,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			probes := func(ctx context.Context, l bench.Lab) map[probe.ID]probe.Result { return probeNeeds(ctx, l) }
			return relayError(walk.Relay(cmd.Context(), labs.Find, probes, os.Stdin, os.Stdout))
		},
	}
}
