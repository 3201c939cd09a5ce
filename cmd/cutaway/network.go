package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
	"cutaway/netdemo"
)

func (p *program) networkCommand() *cobra.Command {
	return p.dockerGroup("network", "Networks: create, list, look into, connect, remove",
		p.networkCreate(), p.networkLs(), p.networkInspect(), p.networkConnect(), p.networkDisconnect(), p.networkRm(), p.networkPrune())
}

func (p *program) networkCreate() *cobra.Command {
	spec := netdemo.NetworkSpec{Proxy: true}
	var subnet, ipRange, gateway, options, labels []string
	driver, ipv6 := "bridge", false
	cmd := p.dockerCommand(&cobra.Command{
		Use: "create [OPTIONS] NETWORK", Short: "Create a network", Args: exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			spec.Name = args[0]
			if driver != "bridge" {
				return fmt.Errorf("plugin %q not found: there is the driver bridge", driver)
			}
			if err := addresses(&spec, subnet, ipRange, gateway); err != nil {
				return err
			}
			if err := networkOptions(&spec, pairs(options)); err != nil {
				return err
			}
			return p.withEngine(func(e api.Backend) error {
				r, err := e.CreateNetwork(spec, pairs(labels))
				if err == nil {
					fmt.Fprintln(p.out, r.ID)
				}
				return err
			})
		},
	})
	flags := cmd.Flags()
	flags.StringVarP(&driver, "driver", "d", driver, "driver to manage the network")
	flags.StringArrayVar(&subnet, "subnet", nil, "subnet in CIDR format that represents a network segment")
	flags.StringArrayVar(&ipRange, "ip-range", nil, "allocate container ip from a sub-range")
	flags.StringArrayVar(&gateway, "gateway", nil, "IPv4 or IPv6 gateway for the master subnet")
	flags.BoolVar(&spec.Internal, "internal", false, "restrict external access to the network")
	flags.BoolVar(&ipv6, "ipv6", false, "accepted: an IPv6 --subnet says it")
	flags.StringArrayVarP(&options, "opt", "o", nil, "set driver specific options: com.docker.network.bridge.name, com.docker.network.driver.mtu")
	flags.StringArrayVar(&labels, "label", nil, "set metadata on a network")
	flags.Bool("attachable", false, "accepted: every network is")
	return cmd
}

// addresses reads subnets, ranges and gateways of both families.
func addresses(spec *netdemo.NetworkSpec, subnet, ipRange, gateway []string) error {
	for _, text := range subnet {
		s, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("invalid CIDR address: %s", text)
		}
		if s.Addr().Is4() {
			spec.Subnet = s
		} else {
			spec.Subnet6 = s
		}
	}
	for _, text := range ipRange {
		s, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("invalid CIDR address: %s", text)
		}
		spec.Range = s
	}
	for _, text := range gateway {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("invalid gateway: %s", text)
		}
		if a.Is4() {
			spec.Gateway = a
		} else {
			spec.Gateway6 = a
		}
	}
	return nil
}

func networkOptions(spec *netdemo.NetworkSpec, options map[string]string) (err error) {
	for name, value := range options {
		switch name {
		case "com.docker.network.bridge.name":
			spec.Bridge = value
		case "com.docker.network.driver.mtu":
			if spec.MTU, err = strconv.Atoi(value); err != nil {
				return fmt.Errorf("invalid mtu: %s", value)
			}
		default:
			return fmt.Errorf("unknown network option %s", name)
		}
	}
	return nil
}

func (p *program) networkConnect() *cobra.Command {
	var s minicontainer.EndpointSettings
	cmd := p.dockerCommand(&cobra.Command{
		Use: "connect [OPTIONS] NETWORK CONTAINER", Short: "Connect a container to a network", Args: exactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withEngine(func(e api.Backend) error { return e.ConnectNetwork(args[0], args[1], s) })
		},
	})
	cmd.Flags().StringVar(&s.IPAddress, "ip", "", "IPv4 address (e.g., 172.30.100.104)")
	cmd.Flags().StringArrayVar(&s.Aliases, "alias", nil, "add network-scoped alias for the container")
	return cmd
}

func (p *program) networkDisconnect() *cobra.Command {
	cmd := p.dockerCommand(&cobra.Command{
		Use: "disconnect [OPTIONS] NETWORK CONTAINER", Short: "Disconnect a container from a network", Args: exactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withEngine(func(e api.Backend) error { return e.DisconnectNetwork(args[0], args[1]) })
		},
	})
	cmd.Flags().BoolP("force", "f", false, "accepted: disconnecting is never refused")
	return cmd
}

func (p *program) networkRm() *cobra.Command {
	cmd := p.dockerCommand(&cobra.Command{
		Use: "rm NETWORK [NETWORK...]", Aliases: []string{"remove"}, Short: "Remove one or more networks", Args: atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.eachContainer(args, api.Backend.RemoveNetwork)
		},
	})
	return cmd
}

func (p *program) networkPrune() *cobra.Command {
	var force bool
	cmd := p.dockerCommand(&cobra.Command{
		Use: "prune [OPTIONS]", Short: "Remove all unused networks", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if !force && !p.confirm("WARNING! This will remove all custom networks not used by at least one container.") {
				return nil
			}
			return p.withEngine(func(e api.Backend) error {
				gone, err := e.PruneNetworks()
				if len(gone) > 0 {
					fmt.Fprintf(p.out, "Deleted Networks:\n%s\n\n", strings.Join(gone, "\n"))
				}
				return err
			})
		},
	})
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not prompt for confirmation")
	return cmd
}
