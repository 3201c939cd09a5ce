package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cutaway/unionfs/image"
)

// historyTable is `docker history`.
var historyTable = listing{
	standard: "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
	headings: map[string]string{
		"ID": "IMAGE", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "CreatedBy": "CREATED BY", "Size": "SIZE", "Comment": "COMMENT",
	},
}

// historyRow is one step in words.
type historyRow struct{ ID, CreatedSince, CreatedAt, CreatedBy, Size, Comment string }

type historyFlags struct {
	human, whole, quiet bool
	format              string
}

func (p *program) imageHistory() *cobra.Command {
	var f historyFlags
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "history [OPTIONS] IMAGE",
		Short: "Show the history of an image",
		Args:  exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withStore(func(s *image.Store) error {
				img, err := findImage(s, args[0])
				if err != nil {
					return err
				}
				steps, err := s.Steps(img)
				if err != nil {
					return err
				}
				return p.showSteps(steps, f)
			})
		},
	})
	flags := cmd.Flags()
	flags.BoolVarP(&f.human, "human", "H", true, "print sizes and dates in human readable format")
	flags.BoolVar(&f.whole, "no-trunc", false, "don't truncate output")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "only show image IDs")
	formatFlag(flags, &f.format, "")
	return cmd
}

func (p *program) showSteps(steps []image.Step, f historyFlags) error {
	rows := make([]historyRow, len(steps))
	for i, s := range steps {
		rows[i] = f.row(s, time.Now())
	}
	format := f.format
	if f.quiet && format == "" {
		format = "{{.ID}}"
	}
	table := historyTable
	if !f.human {
		table.standard = strings.Replace(table.standard, "CreatedSince", "CreatedAt", 1)
	}
	return printListing(p.out, table, format, rows)
}

func (f historyFlags) row(s image.Step, now time.Time) historyRow {
	at := s.Created.UTC().Format(time.RFC3339)
	r := historyRow{
		ID: s.ID, CreatedSince: at, CreatedAt: at, Comment: s.Comment, Size: plainNumber(s.Size),
		CreatedBy: strings.ReplaceAll(s.CreatedBy, "\t", " "), // a tab would be a column
	}
	if f.human {
		r.CreatedSince, r.Size = image.Ago(now.Sub(s.Created)), image.HumanSize(s.Size)
	}
	if !f.whole {
		r.ID = strings.TrimPrefix(r.ID, "sha256:")
		r.ID, r.CreatedBy = r.ID[:min(12, len(r.ID))], ellipsis(r.CreatedBy, 45)
	}
	return r
}
