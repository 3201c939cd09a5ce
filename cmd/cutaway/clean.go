package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"cutaway/internal/journal"
	"cutaway/labs/lesson"
	"cutaway/minicontainer/storage"
	"cutaway/unionfs/image"
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
	found, failed := p.cleanStores(words)
	if left += failed; len(runs) == 0 && found == 0 {
		fmt.Fprintln(p.out, words.Say("nothing to clean"))
	}
	if left > 0 {
		return exitError{code: exitResidue}
	}
	return nil
}

// cleanStores takes half-made layers away, not images: of those that had
// something to clean or could not be looked through.
func (p *program) cleanStores(words *lesson.Words) (found, failed int) {
	opts, err := storage.ParseOptions(p.storageOpts)
	if err != nil {
		fmt.Fprintln(p.err, "cutaway:", err)
		return 0, 1
	}
	for _, c := range storage.Clean(p.root, opts) {
		switch {
		case errors.Is(c.Err, image.ErrBusy):
			found++
			fmt.Fprintln(p.out, words.Sayf("images of driver {}: in use, left alone", c.Driver))
		case c.Err != nil:
			found++
			if !errors.Is(c.Err, errors.ErrUnsupported) { // such as zfs, without the name of its dataset
				failed++
			}
			fmt.Fprintln(p.out, words.Sayf("images of driver {}: could not put everything back: {}", c.Driver, c.Err))
		case len(c.Removed) > 0:
			found++
			fmt.Fprintln(p.out, words.Sayf("images of driver {}: put back", c.Driver))
		}
		for _, what := range c.Removed {
			fmt.Fprintln(p.out, "  ", what)
		}
	}
	return found, failed
}
