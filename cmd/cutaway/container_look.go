package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
	"cutaway/unionfs/image"
	"cutaway/volumedemo"
)

func (p *program) containerInspect() *cobra.Command {
	var format, kind string
	var size bool
	cmd := p.dockerCommand(&cobra.Command{
		Use: "inspect [OPTIONS] NAME|ID [NAME|ID...]", Short: "Return low-level information on containers, images, networks and volumes", Args: atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withEngine(func(e api.Backend) error { return p.inspect(e, args, format, kind, size) })
		},
	})
	formatFlag(cmd.Flags(), &format, "f")
	cmd.Flags().StringVar(&kind, "type", "", "return JSON for specified type: container, image, network, volume")
	cmd.Flags().BoolVarP(&size, "size", "s", false, "display total file sizes if the type is container")
	return cmd
}

// inspect looks for a container, then an image, a network, a volume of each name.
func (p *program) inspect(e api.Backend, refs []string, format, kind string, size bool) error {
	if kinds := []string{"container", "image", "network", "volume"}; kind != "" && !slices.Contains(kinds, kind) {
		return fmt.Errorf("unknown type: %q: must be one of %s", kind, strings.Join(kinds, ", "))
	}
	found, problems := []any{}, []string{}
	for _, ref := range refs {
		object, err := p.lookUp(e, ref, kind, size)
		if err != nil {
			problems = append(problems, "Error: "+err.Error())
			continue
		}
		found = append(found, object)
	}
	if err := printInspect(p.out, format, found); err != nil {
		return err
	}
	return p.problems(problems)
}

func (p *program) lookUp(e api.Backend, ref, kind string, size bool) (object any, err error) {
	if kind == "" || kind == "container" {
		d, err := e.Details(ref, size)
		if gone := (*minicontainer.NotFound)(nil); err == nil || !errors.As(err, &gone) || kind != "" {
			return d, err
		}
	}
	if kind == "" || kind == "image" {
		err = p.withStore(func(s *image.Store) error {
			img, err := s.Resolve(ref)
			if err != nil {
				return noSuchImage(ref, err)
			}
			object, err = describeImage(s, img)
			return err
		})
		if err == nil || kind != "" {
			return object, err
		}
	}
	if kind == "" || kind == "network" {
		n, err := e.InspectNetwork(ref)
		if err == nil {
			return describeNetwork(n), nil
		}
		if kind != "" {
			return nil, err
		}
	}
	if kind == "" || kind == "volume" {
		err = p.withVolumes(func(_ *minicontainer.Engine, s *volumedemo.Store) (err error) {
			object, err = s.Inspect(ref)
			return err
		})
		if err == nil || kind != "" {
			return object, err
		}
	}
	return nil, minicontainer.NewInvalid("No such object: " + ref)
}

func (p *program) containerTop() *cobra.Command {
	cmd := p.dockerCommand(&cobra.Command{
		Use: "top CONTAINER [ps OPTIONS]", Short: "Display the running processes of a container", Args: atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withEngine(func(e api.Backend) error {
				titles, rows, err := e.Top(args[0], args[1:])
				if err != nil {
					return err
				}
				tab := tabwriter.NewWriter(p.out, 20, 1, 3, ' ', 0)
				for _, row := range append([][]string{titles}, rows...) {
					fmt.Fprintln(tab, strings.Join(row, "\t"))
				}
				return tab.Flush()
			})
		},
	})
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func (p *program) containerPort() *cobra.Command {
	return p.dockerCommand(&cobra.Command{
		Use: "port CONTAINER [PRIVATE_PORT[/PROTO]]", Short: "List port mappings or a specific mapping for the container",
		Args: cobra.MatchAll(atLeast(1), atMost(2)),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withEngine(func(e api.Backend) error { return p.port(e, args[0], append(args, "")[1]) })
		},
	})
}

func (p *program) port(e api.Backend, ref, want string) error {
	lines, err := e.Ports(ref)
	if err != nil {
		return err
	}
	if want != "" && !strings.Contains(want, "/") {
		want += "/tcp"
	}
	found := want == ""
	for _, l := range lines {
		at := l.Binding.HostIP + ":" + l.Binding.HostPort
		switch {
		case want == "":
			fmt.Fprintf(p.out, "%s -> %s\n", l.Port, at)
		case l.Port == want:
			found = true
			fmt.Fprintln(p.out, at)
		}
	}
	if !found {
		return minicontainer.NewInvalid("No public port '" + want + "' published for " + ref)
	}
	return nil
}

func (p *program) containerLogs() *cobra.Command {
	var o minicontainer.LogOptions
	var since, until, tail string
	cmd := p.dockerCommand(&cobra.Command{
		Use: "logs [OPTIONS] CONTAINER", Short: "Fetch the logs of a container", Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			now := time.Now()
			if o.Since, err = moment(since, now); err != nil {
				return err
			}
			if o.Until, err = moment(until, now); err != nil {
				return err
			}
			o.Tail = -1
			if tail != "all" && tail != "" {
				if o.Tail, err = strconv.Atoi(tail); err != nil {
					o.Tail = -1 // as Docker has it: what is no number is all
				}
			}
			return p.withEngine(func(e api.Backend) error { return e.Logs(cmd.Context(), args[0], o, p.out, p.err) })
		},
	})
	flags := cmd.Flags()
	flags.BoolVarP(&o.Follow, "follow", "f", false, "follow log output")
	flags.StringVar(&since, "since", "", "show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)")
	flags.StringVar(&until, "until", "", "show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)")
	flags.StringVarP(&tail, "tail", "n", "all", "number of lines to show from the end of the logs")
	flags.BoolVarP(&o.Timestamps, "timestamps", "t", false, "show timestamps")
	flags.Bool("details", false, "accepted: there are no extra details")
	return cmd
}

// moment reads a point in time: RFC 3339 or its beginnings, seconds since 1970,
// or how long ago.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return time.Unix(int64(n), int64((n-float64(int64(n)))*1e9)), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("invalid value for time: %q: want 2013-01-02T13:23:37Z, seconds since 1970, or 42m", text)
}
