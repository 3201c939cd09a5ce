package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
)

func (p *program) containerDiff() *cobra.Command {
	return p.dockerCommand(&cobra.Command{
		Use: "diff CONTAINER", Short: "Inspect changes to files or directories on a container's filesystem", Args: exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withEngine(func(e api.Backend) error {
				list, err := e.Diff(args[0])
				for _, change := range list {
					fmt.Fprintln(p.out, change)
				}
				return err
			})
		},
	})
}

func (p *program) containerCommit() *cobra.Command {
	o := minicontainer.CommitOptions{}
	cmd := p.dockerCommand(&cobra.Command{
		Use: "commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]", Short: "Create a new image from a container's changes",
		Args: cobra.MatchAll(atLeast(1), atMost(2)),
		RunE: func(_ *cobra.Command, args []string) error {
			o.Name = append(args, "")[1]
			return p.withEngine(func(e api.Backend) error {
				id, err := e.CommitID(args[0], o)
				if id != "" {
					fmt.Fprintln(p.out, id)
				}
				return err
			})
		},
	})
	flags := cmd.Flags()
	flags.StringVarP(&o.Author, "author", "a", "", "author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")")
	flags.StringVarP(&o.Message, "message", "m", "", "commit message")
	flags.StringArrayVarP(&o.Changes, "change", "c", nil, "apply Dockerfile instruction to the created image")
	flags.BoolVarP(&o.Pause, "pause", "p", true, "pause container during commit")
	return cmd
}

func (p *program) containerExport() *cobra.Command {
	var output string
	cmd := p.dockerCommand(&cobra.Command{
		Use: "export [OPTIONS] CONTAINER", Short: "Export a container's filesystem as a tar archive", Args: exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withEngine(func(e api.Backend) error { return p.export(e, args[0], output) })
		},
	})
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to a file, instead of STDOUT")
	return cmd
}

func (p *program) export(e api.Backend, ref, output string) (err error) {
	var w io.Writer = p.out
	if output != "" {
		file, err := os.Create(output)
		if err != nil {
			return err
		}
		defer file.Close()
		w = file
	} else if file, is := p.out.(*os.File); is && term.IsTerminal(int(file.Fd())) {
		return fmt.Errorf("cowardly refusing to save to a terminal. Use the -o flag or redirect")
	}
	return e.Export(ref, w)
}
