package main

import (
	"github.com/spf13/cobra"

	"cutaway/minicontainer/oci/command"
)

// ociCommand is the runtime with runc's command line: package command, which most
// calls of it get to before this one begins.
func (p *program) ociCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                "oci",
		Short:              "Container runtime with runc's command line",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			// --root may stand before oci as well; what else may stand there means
			// nothing to a runtime.
			if cmd.Root().PersistentFlags().Changed("root") {
				args = append([]string{"--root", p.root}, args...)
			}
			return exitError{code: command.Run(args, p.in, p.out, p.err)}
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			return command.Suggest(args, word), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { command.Run([]string{"--help"}, p.in, cmd.OutOrStdout(), p.err) })
	return cmd
}
