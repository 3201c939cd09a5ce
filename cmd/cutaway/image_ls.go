package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"cutaway/unionfs/image"
)

// imagesTable is `docker images`.
var imagesTable = listing{
	standard: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
	headings: map[string]string{
		"Repository": "REPOSITORY", "Tag": "TAG", "Digest": "DIGEST", "ID": "IMAGE ID",
		"CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "Size": "SIZE",
	},
}

// imageLsFlags are the options of `image ls`.
type imageLsFlags struct {
	all, digests, whole, quiet bool
	filters                    []string
	format                     string
}

func (p *program) imageLs() *cobra.Command {
	var f imageLsFlags
	cmd := p.dockerCommand(&cobra.Command{
		Use:     "ls [OPTIONS] [REPOSITORY[:TAG]]",
		Aliases: []string{"list"},
		Short:   "List images",
		Args:    atMost(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.filters = append(f.filters, "reference="+args[0])
			}
			return p.withStore(func(s *image.Store) error { return p.listImages(s, f) })
		},
	})
	flags := cmd.Flags()
	flags.BoolVarP(&f.all, "all", "a", false, "show all images, also those that only others were made from")
	flags.BoolVar(&f.digests, "digests", false, "show digests")
	flags.StringArrayVarP(&f.filters, "filter", "f", nil, "filter: dangling=, label=, before=, since=, reference=")
	flags.BoolVar(&f.whole, "no-trunc", false, "don't truncate output")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "only show image IDs")
	formatFlag(flags, &f.format, "")
	return cmd
}

func (p *program) listImages(s *image.Store, f imageLsFlags) error {
	filters, err := parseFilters(f.filters)
	if err != nil {
		return err
	}
	list := s.List
	if f.all {
		list = s.ListAll
	}
	rows, err := list(filters...)
	if err != nil {
		return err
	}
	now := time.Now()
	shown := make([]image.Shown, len(rows))
	for i, r := range rows {
		shown[i] = r.Show(now, f.whole)
	}
	table, format := imagesTable, f.format
	if f.digests {
		table.standard = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
	}
	if f.quiet && format == "" {
		format = "{{.ID}}"
	}
	return printListing(p.out, table, format, shown)
}

func parseFilters(texts []string) ([]image.Filter, error) {
	var filters []image.Filter
	for _, text := range texts {
		f, err := image.ParseFilter(text)
		if err != nil {
			return nil, fmt.Errorf("invalid filter: %w", err)
		}
		filters = append(filters, f)
	}
	return filters, nil
}
