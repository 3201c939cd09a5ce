package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"cutaway/internal/ground"
)

func (p *program) infoCommand() *cobra.Command {
	var asJSON, plain bool
	cmd := &cobra.Command{
		Use:   "info",
		Short: "Storage driver, backing file system, control groups, kernel",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			facts, err := ground.Info(cmd.Context(), p.root)
			if err != nil {
				return exitError{exitFailed, err}
			}
			if asJSON {
				byName := map[string]string{}
				for _, f := range facts {
					byName[f.Name] = f.Value()
				}
				return json.NewEncoder(p.out).Encode(byName)
			}
			words, err := p.words()
			if err != nil {
				return exitError{exitUsage, err}
			}
			var rows [][]string
			for _, f := range facts {
				rows = append(rows, []string{words.Say(f.Name), f.Value(), f.From})
			}
			p.style(plain).Table(p.out, []string{words.Say("fact"), words.Say("value"), words.Say("read from")}, rows)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	cmd.Flags().BoolVar(&plain, "plain", false, "no colour and no box drawing")
	return cmd
}
