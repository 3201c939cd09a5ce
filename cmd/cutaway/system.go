package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cutaway/minicontainer"
	"cutaway/unionfs/image"
)

func (p *program) systemCommand() *cobra.Command {
	return p.dockerGroup("system", "Disk use of all that cutaway keeps, and cleaning up", p.systemDf(), p.systemPrune())
}

// dfTable is `docker system df`.
var dfTable = listing{
	standard: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
	headings: map[string]string{"Type": "TYPE", "TotalCount": "TOTAL", "Active": "ACTIVE", "Size": "SIZE", "Reclaimable": "RECLAIMABLE"},
}

// dfRow is one kind of thing in `system df`.
type dfRow struct{ Type, TotalCount, Active, Size, Reclaimable string }

func newDfRow(kind string, total, active int, size, reclaimable int64) dfRow {
	share := ""
	if size > 0 {
		share = fmt.Sprintf(" (%d%%)", reclaimable*100/size)
	}
	return dfRow{kind, plainNumber(int64(total)), plainNumber(int64(active)), image.HumanSize(size), image.HumanSize(reclaimable) + share}
}

func (p *program) systemDf() *cobra.Command {
	var verbose bool
	var format string
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "df [OPTIONS]",
		Short: "Show disk usage",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.withStore(func(s *image.Store) error {
				usage, err := s.DiskUsage()
				if err != nil {
					return err
				}
				if verbose {
					return p.dfVerbose(s, usage)
				}
				return printListing(p.out, dfTable, format, dfRows(usage))
			})
		},
	})
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show detailed information on space usage")
	formatFlag(cmd.Flags(), &format, "")
	return cmd
}

// dfRows has a row for each kind of thing that takes space.
func dfRows(u image.Usage) []dfRow {
	return []dfRow{
		newDfRow("Images", u.Images, u.ActiveImage, u.Layers, u.Reclaimable),
		newDfRow("Containers", u.Containers, u.Containers, u.Roots, 0),
	}
}

// dfImages is the images' part of `docker system df -v`.
var dfImages = listing{
	standard: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
	headings: map[string]string{
		"Repository": "REPOSITORY", "Tag": "TAG", "ID": "IMAGE ID", "CreatedSince": "CREATED", "Size": "SIZE",
		"SharedSize": "SHARED SIZE", "UniqueSize": "UNIQUE SIZE", "Containers": "CONTAINERS",
	},
}

type dfImage struct {
	image.Shown
	SharedSize, UniqueSize string
	Containers             int
}

func (p *program) dfVerbose(s *image.Store, u image.Usage) error {
	rows, err := s.List()
	if err != nil {
		return err
	}
	var shown []dfImage
	for _, r := range rows {
		for _, iu := range u.PerImage {
			if iu.Image.ImageID == r.ID {
				shown = append(shown, dfImage{r.Show(time.Now(), false), image.HumanSize(iu.Shared), image.HumanSize(iu.Unique), iu.Containers})
			}
		}
	}
	fmt.Fprint(p.out, "Images space usage:\n\n")
	return printListing(p.out, dfImages, "", shown)
}

func (p *program) systemPrune() *cobra.Command {
	var all, force bool
	var filters []string
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "prune [OPTIONS]",
		Short: "Remove unused data",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.withEngineHere(func(e *minicontainer.Engine) error {
				list, err := systemPrunings(e, all, filters)
				if err != nil {
					return err
				}
				if !force && !p.confirm(pruneWarning(list)) {
					return nil
				}
				return p.runPrunings(list)
			})
		},
	})
	cmd.Flags().BoolVarP(&all, "all", "a", false, "remove all unused images, not just dangling ones")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not prompt for confirmation")
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "provide filter values (e.g. 'label=<key>=<value>')")
	return cmd
}

// systemPrunings lists what `system prune` does, in this order: what is removed
// first frees what comes later.
func systemPrunings(e *minicontainer.Engine, all bool, filters []string) ([]pruning, error) {
	containers := pruning{warning: "all stopped containers", title: "Deleted Containers:",
		prune: func() ([]string, int64, error) { return e.Prune(filterMap(filters)) }}
	networks := pruning{warning: "all networks not used by at least one container", title: "Deleted Networks:",
		prune: func() ([]string, int64, error) { gone, err := e.PruneNetworks(); return gone, 0, err }}
	images, err := imagePruning(e.Images, all, filters)
	return []pruning{containers, networks, images}, err
}

func pruneWarning(list []pruning) string {
	var b strings.Builder
	b.WriteString("WARNING! This will remove:\n")
	for _, one := range list {
		fmt.Fprintf(&b, "  - %s\n", one.warning)
	}
	return b.String()
}
