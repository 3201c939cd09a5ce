package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
)

// statsRow is a line of stats, with the names that --format has.
type statsRow struct {
	Container, ID, Name, CPUPerc, MemUsage, MemPerc, NetIO, BlockIO, PIDs string
}

var statsListing = listing{
	standard: "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
	headings: map[string]string{"Container": "CONTAINER", "ID": "CONTAINER ID", "Name": "NAME", "CPUPerc": "CPU %",
		"MemUsage": "MEM USAGE / LIMIT", "MemPerc": "MEM %", "NetIO": "NET I/O", "BlockIO": "BLOCK I/O", "PIDs": "PIDS"},
}

func (p *program) containerStats() *cobra.Command {
	var all, once, whole bool
	var format string
	cmd := p.dockerCommand(&cobra.Command{
		Use: "stats [OPTIONS] [CONTAINER...]", Short: "Display a live stream of container(s) resource usage statistics",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withEngine(func(e api.Backend) error { return p.stats(cmd.Context(), e, args, all, once, whole, format) })
		},
	})
	flags := cmd.Flags()
	flags.BoolVarP(&all, "all", "a", false, "show all containers (default shows just running)")
	flags.BoolVar(&once, "no-stream", false, "disable streaming stats and only pull the first result")
	flags.BoolVar(&whole, "no-trunc", false, "do not truncate output")
	formatFlag(flags, &format, "")
	return cmd
}

// statsEvery is the time between two looks; a percentage needs two.
const statsEvery = time.Second

func (p *program) stats(ctx context.Context, e api.Backend, refs []string, all, once, whole bool, format string) error {
	before, err := p.readStats(e, refs, all)
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(statsEvery):
		}
		now, err := p.readStats(e, refs, all)
		if err != nil {
			return err
		}
		rows := []statsRow{}
		for _, s := range now {
			rows = append(rows, statsRowOf(s, before, whole))
		}
		if !once {
			fmt.Fprint(p.out, "\033[H\033[J") // home, and clear from there
		}
		if err := printListing(p.out, statsListing, format, rows); err != nil || once {
			return err
		}
		before = now
	}
}

func (p *program) readStats(e api.Backend, refs []string, all bool) ([]*minicontainer.Stats, error) {
	if len(refs) == 0 {
		list, err := e.List(minicontainer.ListOptions{All: all})
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			refs = append(refs, c.ID)
		}
	}
	var out []*minicontainer.Stats
	for _, ref := range refs {
		s, err := e.Stats(ref)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func statsRowOf(s *minicontainer.Stats, before []*minicontainer.Stats, whole bool) statsRow {
	percent, memory := 0.0, 0.0
	for _, b := range before {
		if b.ID == s.ID {
			percent = s.Percent(b)
		}
	}
	if s.Limit > 0 {
		memory = float64(s.Memory) / float64(s.Limit) * 100
	}
	r := statsRow{Container: s.ID, ID: s.ID, Name: s.Name, CPUPerc: fmt.Sprintf("%.2f%%", percent), MemPerc: fmt.Sprintf("%.2f%%", memory),
		MemUsage: binarySize(s.Memory) + " / " + binarySize(s.Limit), PIDs: fmt.Sprint(s.Pids),
		NetIO:   humanSize(int64(s.NetRx)) + " / " + humanSize(int64(s.NetTx)),
		BlockIO: humanSize(int64(s.BlockIn)) + " / " + humanSize(int64(s.BlockOut))}
	if !whole {
		r.ID = minicontainer.ShortID(s.ID)
	}
	return r
}

// binarySize writes bytes in powers of 1024, as Docker does for memory.
func binarySize(n uint64) string {
	value, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for value >= 1024 && len(units) > 1 {
		value, units = value/1024, units[1:]
	}
	return strings.TrimSuffix(fmt.Sprintf("%.4g", value), ".0") + units[0]
}
