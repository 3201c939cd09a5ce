package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cutaway/minicontainer"
	"cutaway/volumedemo"
)

// volumeRow is a line of volume ls, with the names that --format has.
type volumeRow struct {
	Driver, Name, Scope, Mountpoint, Labels string
}

var volumeListing = listing{
	standard: "{{.Driver}}\t{{.Name}}",
	headings: map[string]string{"Driver": "DRIVER", "Name": "VOLUME NAME", "Scope": "SCOPE", "Mountpoint": "MOUNTPOINT",
		"Labels": "LABELS"},
}

func (p *program) volumeLs() *cobra.Command {
	var quiet bool
	var filters []string
	var format string
	cmd := p.dockerCommand(&cobra.Command{
		Use: "ls [OPTIONS]", Aliases: []string{"list"}, Short: "List volumes", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.withVolumes(func(e *minicontainer.Engine, s *volumedemo.Store) error {
				rows, err := volumeRows(e, s, filters)
				if err != nil {
					return err
				}
				if quiet && format == "" {
					format = "{{.Name}}"
				}
				return printListing(p.out, volumeListing, format, rows)
			})
		},
	})
	flags := cmd.Flags()
	flags.BoolVarP(&quiet, "quiet", "q", false, "only display volume names")
	flags.StringArrayVarP(&filters, "filter", "f", nil, "provide filter values (e.g. 'dangling=true')")
	formatFlag(flags, &format, "")
	return cmd
}

func volumeRows(e *minicontainer.Engine, s *volumedemo.Store, filters []string) ([]volumeRow, error) {
	used := func(name string) bool { by, _ := e.VolumeUsers(name); return len(by) > 0 }
	wanted, err := parseVolumeFilters(filters, used)
	if err != nil {
		return nil, err
	}
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	var rows []volumeRow
	for _, v := range slices.DeleteFunc(all, func(v volumedemo.Info) bool { return !wanted(v) }) {
		r := volumeRow{Driver: v.Driver, Name: v.Name, Scope: v.Scope, Mountpoint: v.Mountpoint}
		for _, key := range sortedKeys(v.Labels) {
			r.Labels = joinComma(r.Labels, key+"="+v.Labels[key])
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// parseVolumeFilters reads filters of volumes. Those of one name are
// alternatives, but for labels, which must all be there. used is nil where
// "dangling" has no meaning.
func parseVolumeFilters(texts []string, used func(string) bool) (func(volumedemo.Info) bool, error) {
	byName := map[string][]func(volumedemo.Info) bool{}
	for _, text := range texts {
		name, value, has := strings.Cut(text, "=")
		if !has {
			return nil, fmt.Errorf("invalid argument %q for \"--filter\" flag: bad format of filter (expected name=value)", text)
		}
		test, err := volumeFilter(name, value, used)
		if err != nil {
			return nil, err
		}
		group := name
		if strings.HasPrefix(name, "label") {
			group = text
		}
		byName[group] = append(byName[group], test)
	}
	return func(v volumedemo.Info) bool {
		for _, any := range byName {
			if !slices.ContainsFunc(any, func(test func(volumedemo.Info) bool) bool { return test(v) }) {
				return false
			}
		}
		return true
	}, nil
}

func volumeFilter(name, value string, used func(string) bool) (func(volumedemo.Info) bool, error) {
	hasLabel := func(v volumedemo.Info) bool {
		key, want, exact := strings.Cut(value, "=")
		have, there := v.Labels[key]
		return there && (!exact || have == want)
	}
	switch {
	case name == "label":
		return hasLabel, nil
	case name == "label!" && used == nil:
		return func(v volumedemo.Info) bool { return !hasLabel(v) }, nil
	case name == "dangling" && used != nil:
		want := map[string]bool{"true": true, "1": true, "false": false, "0": false}
		dangling, ok := want[value]
		if !ok {
			return nil, fmt.Errorf("invalid filter 'dangling=[%s]'", value)
		}
		return func(v volumedemo.Info) bool { return used(v.Name) != dangling }, nil
	case name == "driver" && used != nil:
		return func(v volumedemo.Info) bool { return v.Driver == value }, nil
	case name == "name" && used != nil:
		return func(v volumedemo.Info) bool { return strings.Contains(v.Name, value) }, nil
	}
	return nil, fmt.Errorf("invalid filter '%s'", name)
}
