package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
)

// networkRow is a line of network ls, with the names that --format has.
type networkRow struct {
	ID, Name, Driver, Scope, IPv6, Internal, Labels, CreatedAt string
}

var networkListing = listing{
	standard: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
	headings: map[string]string{"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE", "IPv6": "IPV6",
		"Internal": "INTERNAL", "Labels": "LABELS", "CreatedAt": "CREATED AT"},
}

// fixedNetworks are no networks of ours but ways to have none; they have names
// as Docker's have, and ids that say so.
var fixedNetworks = []networkRow{{Name: "host", Driver: "host", Scope: "local"}, {Name: "none", Driver: "null", Scope: "local"}}

func (p *program) networkLs() *cobra.Command {
	var quiet, whole bool
	var filters []string
	var format string
	cmd := p.dockerCommand(&cobra.Command{
		Use: "ls [OPTIONS]", Aliases: []string{"list"}, Short: "List networks", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.withEngine(func(e api.Backend) error {
				rows, err := networkRows(e, filterMap(filters), whole)
				if err != nil || !quiet {
					return orPrint(err, func() error { return printListing(p.out, networkListing, format, rows) })
				}
				for _, r := range rows {
					fmt.Fprintln(p.out, r.ID)
				}
				return nil
			})
		},
	})
	flags := cmd.Flags()
	flags.BoolVarP(&quiet, "quiet", "q", false, "only display network IDs")
	flags.BoolVar(&whole, "no-trunc", false, "do not truncate the output")
	flags.StringArrayVarP(&filters, "filter", "f", nil, "provide filter values (e.g. 'driver=bridge')")
	formatFlag(flags, &format, "")
	return cmd
}

func orPrint(err error, print func() error) error {
	if err != nil {
		return err
	}
	return print()
}

func networkRows(e api.Backend, filters map[string][]string, whole bool) ([]networkRow, error) {
	for name := range filters {
		if !slices.Contains([]string{"name", "id", "driver", "type", "label"}, name) {
			return nil, fmt.Errorf("invalid filter '%s'", name)
		}
	}
	all, err := e.ListNetworks()
	if err != nil {
		return nil, err
	}
	rows := slices.Clone(fixedNetworks)
	for _, n := range all {
		r := networkRow{ID: n.ID, Name: n.Spec.Name, Driver: "bridge", Scope: "local", IPv6: fmt.Sprint(n.Spec.Subnet6.IsValid()),
			Internal: fmt.Sprint(n.Spec.Internal), CreatedAt: n.Created.Local().Format("2006-01-02 15:04:05 -0700 MST")}
		for _, name := range sortedKeys(n.Labels) {
			r.Labels = joinComma(r.Labels, name+"="+n.Labels[name])
		}
		if !whole {
			r.ID = minicontainer.ShortID(n.ID)
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b networkRow) int { return strings.Compare(a.Name, b.Name) })
	return slices.DeleteFunc(rows, func(r networkRow) bool { return !r.matches(filters) }), nil
}

func (r networkRow) matches(filters map[string][]string) bool {
	for name, values := range filters {
		any := slices.ContainsFunc(values, func(v string) bool {
			switch name {
			case "name":
				return strings.Contains(r.Name, v)
			case "id":
				return strings.HasPrefix(r.ID, v)
			case "driver":
				return r.Driver == v
			case "type":
				return (v == "builtin") == slices.Contains([]string{"bridge", "host", "none"}, r.Name)
			case "label":
				return slices.ContainsFunc(strings.Split(r.Labels, ","), func(l string) bool { return l == v || strings.HasPrefix(l, v+"=") })
			}
			return false
		})
		if !any {
			return false
		}
	}
	return true
}

func (p *program) networkInspect() *cobra.Command {
	var format string
	cmd := p.dockerCommand(&cobra.Command{
		Use: "inspect [OPTIONS] NETWORK [NETWORK...]", Short: "Display detailed information on one or more networks", Args: atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withEngine(func(e api.Backend) error { return p.inspect(e, args, format, "network", false) })
		},
	})
	formatFlag(cmd.Flags(), &format, "f")
	cmd.Flags().BoolP("verbose", "v", false, "accepted: all is shown")
	return cmd
}

// networkInfo is one element of `docker network inspect`.
type networkInfo struct {
	Name       string
	ID         string `json:"Id"`
	Created    time.Time
	Scope      string
	Driver     string
	EnableIPv6 bool
	IPAM       struct {
		Driver string
		Config []map[string]string
	}
	Internal   bool
	Containers map[string]networkMember
	Options    map[string]string
	Labels     map[string]string
}

type networkMember struct{ Name, EndpointID, MacAddress, IPv4Address, IPv6Address string }

func describeNetwork(n *minicontainer.NetworkDetails) networkInfo {
	s := n.Spec
	info := networkInfo{Name: s.Name, ID: n.ID, Created: n.Created, Scope: "local", Driver: "bridge", EnableIPv6: s.Subnet6.IsValid(),
		Internal: s.Internal, Containers: map[string]networkMember{}, Labels: n.Labels,
		Options: map[string]string{"com.docker.network.bridge.name": s.Bridge}}
	info.IPAM.Driver = "default"
	config := map[string]string{"Subnet": s.Subnet.String(), "Gateway": s.Gateway.String()}
	if s.Range.IsValid() {
		config["IPRange"] = s.Range.String()
	}
	info.IPAM.Config = append(info.IPAM.Config, config)
	if s.Subnet6.IsValid() {
		info.IPAM.Config = append(info.IPAM.Config, map[string]string{"Subnet": s.Subnet6.String(), "Gateway": s.Gateway6.String()})
	}
	for _, ep := range n.Endpoints {
		m := networkMember{Name: ep.DNSName, EndpointID: ep.ID, MacAddress: ep.MAC, IPv4Address: fmt.Sprintf("%s/%d", ep.Address, s.Subnet.Bits())}
		key := "ep-" + ep.ID
		if ep.Joined != nil {
			key = ep.Joined.Sandbox
		}
		if ep.Address6.IsValid() {
			m.IPv6Address = fmt.Sprintf("%s/%d", ep.Address6, s.Subnet6.Bits())
		}
		info.Containers[key] = m
	}
	return info
}
