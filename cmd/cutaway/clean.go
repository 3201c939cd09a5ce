package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"cutaway/internal/journal"
)

func (p *program) cleanCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "clean",
		Short: "Put back what dead runs left behind",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return p.clean() },
	}
}

func (p *program) clean() error {
	words, err := p.words()
	if err != nil {
		return exitError{exitUsage, err}
	}
	runs, err := journal.Clean(p.runDir)
	if err != nil {
		return exitError{exitFailed, explainRunDir(err, p.runDir)}
	}
	left := 0
	for _, r := range runs {
		switch {
		case r.Alive:
			fmt.Fprintln(p.out, words.Sayf("run {}: still at work, left alone", r.Run))
		case r.Left != nil:
			left++
			fmt.Fprintln(p.out, words.Sayf("run {}: could not put everything back: {}", r.Run, r.Left))
		default:
			fmt.Fprintln(p.out, words.Sayf("run {}: put back", r.Run))
		}
		for _, what := range r.Undone {
			fmt.Fprintln(p.out, "  ", what)
		}
	}
	if len(runs) == 0 {
		fmt.Fprintln(p.out, words.Say("nothing to clean"))
	}
	if left > 0 {
		return exitError{code: exitResidue}
	}
	return nil
}
