package main

import (
	"errors"
	"fmt"
	"os/signal"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
)

// daemonCommand is the engine behind a socket. Nothing needs it; see package api.
func (p *program) daemonCommand() *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Answer on a unix socket what the verbs for containers do without it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if socket == "" {
				socket = filepath.Join(p.runDir, "api.sock")
			}
			e, err := minicontainer.Open(p.settings())
			if err != nil {
				return exitError{exitFailed, err}
			}
			defer func() { err = errors.Join(err, e.Close()) }()
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			l, err := api.Listen(socket)
			if err != nil {
				return exitError{exitFailed, err}
			}
			for _, err := range e.Recover() {
				fmt.Fprintln(p.err, "cutaway daemon:", err)
			}
			fmt.Fprintf(p.err, "cutaway daemon: answering on unix://%s\n", socket)
			if err := api.NewServer(e).Serve(ctx, l); err != nil {
				return exitError{exitFailed, err}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&socket, "socket", "", "path of the socket (default api.sock in the run folder)")
	return cmd
}
