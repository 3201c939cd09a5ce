package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"cutaway/assets"
	"cutaway/labs"
	"cutaway/labs/bench"
	"cutaway/labs/lesson"
)

func (p *program) words() (*lesson.Words, error) {
	lang := p.lang
	if lang == "" {
		lang = lesson.FromEnvironment()
	}
	return lesson.NewWords(assets.Files, lang)
}

func (p *program) listCommand() *cobra.Command {
	var steps bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the labs",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			words, err := p.words()
			if err != nil {
				return exitError{exitUsage, err}
			}
			for _, l := range labs.Index() {
				fmt.Fprintf(p.out, "%s  %-12s %s\n", l.ID, l.Name, words.Title(l.Key()))
				if steps {
					p.listSteps(l.Make(), words)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&steps, "steps", false, "with the steps of each lab and the experiments that they reproduce")
	return cmd
}

func (p *program) listSteps(l bench.Lab, words *lesson.Words) {
	prose := words.Lesson(labs.Key(l))
	for _, s := range l.Steps {
		fmt.Fprintf(p.out, "      %-18s %s  %s\n", s.Name, prose.Sections[s.Name].Title, strings.Join(s.Reproduces, " "))
	}
}
