package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
	"cutaway/unionfs/image"
)

// psRow is a line of ps, with the names that --format has.
type psRow struct {
	ID, Image, Command, CreatedAt, RunningFor, Ports, Status, State, Size, Names string
	Labels, Mounts, LocalVolumes, Networks                                       string
	labels                                                                       map[string]string
}

// Label is {{.Label "name"}}.
func (r psRow) Label(name string) string { return r.labels[name] }

var psListing = listing{
	standard: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
	headings: map[string]string{"ID": "CONTAINER ID", "Image": "IMAGE", "Command": "COMMAND", "CreatedAt": "CREATED AT",
		"RunningFor": "CREATED", "Ports": "PORTS", "Status": "STATUS", "State": "STATE", "Size": "SIZE", "Names": "NAMES",
		"Labels": "LABELS", "Mounts": "MOUNTS", "LocalVolumes": "LOCAL VOLUMES", "Networks": "NETWORKS"},
}

type psFlags struct {
	all, quiet, whole, size, latest bool
	last                            int
	filters                         []string
	format                          string
}

func (p *program) containerPs() *cobra.Command {
	f := &psFlags{}
	cmd := p.dockerCommand(&cobra.Command{
		Use: "ps [OPTIONS]", Short: "List containers", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.withEngine(func(e api.Backend) error { return p.ps(e, f) })
		},
	})
	flags := cmd.Flags()
	flags.BoolVarP(&f.all, "all", "a", false, "show all containers (default shows just running)")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "only display container IDs")
	flags.BoolVar(&f.whole, "no-trunc", false, "don't truncate output")
	flags.BoolVarP(&f.size, "size", "s", false, "display total file sizes")
	flags.BoolVarP(&f.latest, "latest", "l", false, "show the latest created container (includes all states)")
	flags.IntVarP(&f.last, "last", "n", 0, "show n last created containers (includes all states)")
	flags.StringArrayVarP(&f.filters, "filter", "f", nil, "filter output based on conditions provided")
	formatFlag(flags, &f.format, "")
	return cmd
}

func (p *program) ps(e api.Backend, f *psFlags) error {
	if f.latest {
		f.last = 1
	}
	all, err := e.List(minicontainer.ListOptions{All: f.all, Last: max(f.last, 0), Filters: filterMap(f.filters)})
	if err != nil {
		return err
	}
	if f.quiet && f.format == "" {
		for _, c := range all {
			id := c.ID
			if !f.whole {
				id = minicontainer.ShortID(id)
			}
			fmt.Fprintln(p.out, id)
		}
		return nil
	}
	l := psListing
	if f.size {
		l.standard += "\t{{.Size}}"
	}
	rows := []psRow{}
	for _, c := range all {
		r := rowOf(c, f.whole)
		if f.size || strings.Contains(f.format, ".Size") {
			written, whole, err := e.Sizes(c.ID)
			if err != nil {
				return err
			}
			r.Size = fmt.Sprintf("%s (virtual %s)", image.HumanSize(written), image.HumanSize(whole))
		}
		rows = append(rows, r)
	}
	return printListing(p.out, l, f.format, rows)
}

// shellWords is a command as one would type it: an argument that a shell would
// take apart stands in quotes.
func shellWords(path string, args []string) string {
	words := []string{path}
	for _, arg := range args {
		if strings.ContainsAny(arg, " ") {
			arg = "'" + arg + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

func rowOf(c *minicontainer.Container, whole bool) psRow {
	command := shellWords(c.Path, c.Args)
	r := psRow{ID: c.ID, Image: c.Config.Image, Names: c.PlainName(), CreatedAt: c.Created.Local().Format("2006-01-02 15:04:05 -0700 MST"),
		RunningFor: image.Ago(time.Since(c.Created)), Status: c.State.Text(time.Now()), State: c.State.Status(),
		Ports: portsText(c.NetworkSettings.Ports), labels: c.Config.Labels}
	if !whole {
		r.ID, command = minicontainer.ShortID(c.ID), ellipsis(command, 20)
		if r.Image == c.Image.String() { // it has no name any more
			r.Image = minicontainer.ShortID(strings.TrimPrefix(r.Image, "sha256:"))
		}
	}
	r.Command = strconv.Quote(command)
	for _, name := range sortedKeys(c.Config.Labels) {
		r.Labels = joinComma(r.Labels, name+"="+c.Config.Labels[name])
	}
	local := 0
	for _, m := range c.MountPoints {
		name := m.Name
		if name == "" {
			name = m.Source
		} else {
			local++
		}
		if !whole {
			name = ellipsis(name, 15)
		}
		r.Mounts = joinComma(r.Mounts, name)
	}
	r.LocalVolumes = strconv.Itoa(local)
	for _, name := range sortedKeys(c.NetworkSettings.Networks) {
		r.Networks = joinComma(r.Networks, name)
	}
	if r.Networks == "" {
		r.Networks = c.HostConfig.NetworkMode
	}
	return r
}

func joinComma(list, more string) string {
	if list == "" {
		return more
	}
	return list + "," + more
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// portsText is the column of ps: "0.0.0.0:8080->80/tcp, 443/tcp".
func portsText(ports map[string][]minicontainer.PortBinding) string {
	var parts []string
	for _, port := range sortedKeys(ports) {
		if len(ports[port]) == 0 {
			parts = append(parts, port)
		}
		for _, b := range ports[port] {
			parts = append(parts, fmt.Sprintf("%s:%s->%s", b.HostIP, b.HostPort, port))
		}
	}
	return strings.Join(parts, ", ")
}

func humanSize(n int64) string { return image.HumanSize(n) }
