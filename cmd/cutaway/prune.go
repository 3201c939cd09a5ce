package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"cutaway/unionfs/image"
)

// A pruning removes what is unused of one kind of thing. `system prune` does all
// that systemPrunings lists; `image prune` and its like do one.
type pruning struct {
	warning string // what goes, for the question
	title   string // heading of what was removed
	prune   func() (removed []string, freed int64, err error)
}

// run prunes and says what went.
func (p *program) runPrunings(list []pruning) error {
	var total int64
	for _, one := range list {
		removed, freed, err := one.prune()
		total += freed
		if len(removed) > 0 {
			fmt.Fprintf(p.out, "%s\n%s\n\n", one.title, strings.Join(removed, "\n"))
		}
		if err != nil {
			return err
		}
	}
	fmt.Fprintln(p.out, "Total reclaimed space:", image.HumanSize(total))
	return nil
}

func (p *program) imagePrune() *cobra.Command {
	var all, force bool
	var filters []string
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "prune [OPTIONS]",
		Short: "Remove unused images",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.withStore(func(s *image.Store) error {
				one, err := imagePruning(s, all, filters)
				if err != nil {
					return err
				}
				if !force && !p.confirm("WARNING! This will remove "+one.warning+".") {
					return nil
				}
				return p.runPrunings([]pruning{one})
			})
		},
	})
	cmd.Flags().BoolVarP(&all, "all", "a", false, "remove all unused images, not just dangling ones")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not prompt for confirmation")
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "provide filter values (e.g. 'label=<key>=<value>')")
	return cmd
}

// imagePruning removes images without a name, with all those without a container.
func imagePruning(s *image.Store, all bool, filters []string) (pruning, error) {
	keep := pruning{warning: "all dangling images", title: "Deleted Images:"}
	if all {
		keep.warning = "all images without at least one container associated to them"
	} else {
		filters = append(filters, "dangling=true")
	}
	parsed, err := parseFilters(filters)
	keep.prune = func() ([]string, int64, error) { return pruneImages(s, parsed) }
	return keep, err
}

func pruneImages(s *image.Store, filters []image.Filter) (removed []string, freed int64, err error) {
	before, err := s.DiskUsage()
	if err != nil {
		return nil, 0, err
	}
	rows, err := s.List(filters...)
	if err != nil {
		return nil, 0, err
	}
	for _, r := range rows {
		used, err := usesOf(s, nil)(r.ID)
		if err != nil || len(used) > 0 {
			continue // used, or gone with an image that was just removed
		}
		list, err := s.Remove(pruneName(r), false, usesOf(s, nil))
		if err != nil {
			return removed, 0, err
		}
		for _, one := range list {
			removed = append(removed, strings.ToLower(one.String()[:1])+one.String()[1:])
		}
	}
	after, err := s.DiskUsage()
	return removed, before.Layers - after.Layers, err
}

// pruneName is what Remove is to be told: each name on its own, lest an image
// with several be refused.
func pruneName(r image.Row) string {
	switch {
	case r.Tag != "<none>":
		return r.Repository + ":" + r.Tag
	case r.Repository != "<none>":
		return r.Repository + "@" + r.Digest
	}
	return r.ID.String()
}
