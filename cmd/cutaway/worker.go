package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"cutaway/labs"
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
			return walk.Work(ctx, labs.All(), os.Stdin, os.Stdout)
		},
	}
}
