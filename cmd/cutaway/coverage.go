package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"cutaway/labs"
)

func (p *program) coverageCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "coverage",
		Short: "Which experiments the labs reproduce, and which not yet",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cover := labs.Cover()
			if asJSON {
				return json.NewEncoder(p.out).Encode(cover)
			}
			done := 0
			for _, c := range cover {
				where := "-"
				if len(c.Steps) > 0 {
					where, done = strings.Join(c.Steps, ", "), done+1
				}
				fmt.Fprintf(p.out, "%-20s lab %s  %-28s %s\n", c.Experiment.ID, c.Experiment.Lab, where, c.Experiment.Do)
			}
			words, err := p.words()
			if err != nil {
				return exitError{exitUsage, err}
			}
			fmt.Fprintln(p.out, words.Sayf("{} of {} experiments have a lab step", done, len(cover)))
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}
