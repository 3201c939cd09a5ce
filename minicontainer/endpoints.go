package minicontainer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"cutaway/netdemo"
)

// planNetworks writes down which networks the container is to be on: the one of
// its mode, and those that were asked for beside it.
func (c *Container) planNetworks(asked map[string]EndpointSettings) {
	if c.HostConfig.NetworkMode == "" {
		c.HostConfig.NetworkMode = "default"
	}
	c.NetworkSettings = NetworkSettings{Networks: map[string]*EndpointSettings{}}
	mode, err := c.Mode()
	if err != nil || mode.Kind != netdemo.ModeBridge {
		return
	}
	c.NetworkSettings.Networks[mode.Network] = &EndpointSettings{}
	for name, settings := range asked {
		settings.Asked = settings.IPAddress
		c.NetworkSettings.Networks[name] = &settings
	}
}

// Mode is the network mode; "default" is the network "bridge".
func (c *Container) Mode() (netdemo.Mode, error) {
	if c.HostConfig.NetworkMode == "default" {
		return netdemo.ParseMode("bridge")
	}
	return netdemo.ParseMode(c.HostConfig.NetworkMode)
}

// JoinNetworks connects the container's sandbox to all its networks, and writes
// into the record what came of it. Ports are published on the first that the
// mode names. After an error it is on none.
func (e *Engine) JoinNetworks(c *Container, pid int) error {
	if len(c.NetworkSettings.Networks) == 0 {
		return nil
	}
	ns, err := netdemo.OpenPid(pid)
	if err != nil {
		return err
	}
	defer ns.Close()
	mode, err := c.Mode()
	if err != nil {
		return err
	}
	// The mode's network first: its gateway becomes the default route.
	names := c.networkNames(mode.Network)
	for _, name := range names {
		if err := e.join(c, ns, name, name == mode.Network); err != nil {
			return errors.Join(err, e.leaveNetworks(c))
		}
	}
	return nil
}

// networkNames are sorted but for the one that goes first.
func (c *Container) networkNames(first string) []string {
	names := []string{}
	for name := range c.NetworkSettings.Networks {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if (a == first) != (b == first) {
			return map[bool]int{true: -1, false: 1}[a == first]
		}
		return map[bool]int{true: -1, false: 1}[a < b]
	})
	return names
}

func (e *Engine) join(c *Container, ns *netdemo.Namespace, network string, publish bool) error {
	n, err := e.Network(network)
	if err != nil {
		return err
	}
	settings := c.NetworkSettings.Networks[network]
	if err := mayAsk(n, settings.Asked); err != nil {
		return err
	}
	spec, err := c.endpointSpec(settings)
	if err != nil {
		return err
	}
	if publish {
		if spec.Ports, err = c.publishedPorts(); err != nil {
			return err
		}
	}
	ep, err := connect(n, &netdemo.Sandbox{ID: c.ID, NS: ns}, spec)
	if err != nil {
		return err
	}
	settings.fill(n, ep)
	if publish {
		c.NetworkSettings.Ports = portsNow(c.Config.ExposedPorts, ep)
	}
	return nil
}

// connect is Network.Connect that takes away what a dead predecessor of this
// container left under its name.
func connect(n *netdemo.Network, sb *netdemo.Sandbox, spec netdemo.EndpointSpec) (*netdemo.Endpoint, error) {
	ep, err := n.Connect(sb, spec)
	if !errors.Is(err, netdemo.ErrNameTaken) {
		return ep, err
	}
	old, findErr := n.Endpoint(spec.Name)
	if findErr != nil || (old.Joined != nil && old.Joined.Sandbox != sb.ID) {
		return nil, err
	}
	if err := old.Disconnect(nil); err != nil {
		return nil, err
	}
	return n.Connect(sb, spec)
}

// mayAsk: an address of a subnet that nobody chose may be outside of it tomorrow.
func mayAsk(n *netdemo.Network, address string) error {
	switch {
	case address == "":
	case n.Spec.Name == "bridge":
		return invalidf("user specified IP address is supported on user defined networks only")
	case n.Spec.AnySubnet:
		return invalidf("user specified IP address is supported only when connecting to networks with user configured subnets")
	}
	return nil
}

func (c *Container) endpointSpec(s *EndpointSettings) (netdemo.EndpointSpec, error) {
	spec := netdemo.EndpointSpec{Name: c.endpointName(), DNSName: c.dnsName(), Aliases: slices.Clone(s.Aliases)}
	var err error
	if s.Asked != "" {
		if spec.Address, err = netip.ParseAddr(s.Asked); err != nil {
			return spec, invalidf("invalid IPv4 address: %s", s.Asked)
		}
	}
	if mac := c.Config.MacAddress; mac != "" {
		spec.MAC, err = net.ParseMAC(mac)
	}
	return spec, err
}

// fill takes over what the network gave.
func (s *EndpointSettings) fill(n *netdemo.Network, ep *netdemo.Endpoint) {
	s.NetworkID, s.EndpointID, s.MacAddress = n.ID, ep.ID, ep.MAC
	s.IPAddress, s.IPPrefixLen = ep.Address.String(), n.Spec.Subnet.Bits()
	s.Gateway = n.Spec.Gateway.String()
}

// Clear forgets what the networks gave; what was asked for stays.
func (s *NetworkSettings) Clear() {
	s.Ports = nil
	for _, ep := range s.Networks {
		*ep = EndpointSettings{Aliases: ep.Aliases, Asked: ep.Asked, NetworkID: ep.NetworkID}
	}
}

// leaveNetworks takes the container off all networks. Its sandbox may be gone.
func (e *Engine) leaveNetworks(c *Container) error {
	if len(c.NetworkSettings.Networks) == 0 {
		return nil
	}
	nets, err := e.Networks()
	if err != nil {
		return err
	}
	if err := eachNetwork(nets, c, leave); err != nil {
		return err
	}
	return nets.DropSandbox(c.ID)
}

// eachNetwork does it on those that the record wants and that there are, not only on
// those that the sandbox is joined to: an endpoint is made before it is joined.
func eachNetwork(nets *netdemo.Controller, c *Container, do func(*netdemo.Network, *Container) error) (err error) {
	for name := range c.NetworkSettings.Networks {
		n, findErr := nets.Network(name)
		if errors.Is(findErr, netdemo.ErrNotFound) {
			continue
		}
		if err = errors.Join(err, findErr); findErr == nil {
			err = errors.Join(err, do(n, c))
		}
	}
	return err
}

// renameEndpoints tells the networks what the container is called now.
func (e *Engine) renameEndpoints(c *Container) error {
	if len(c.NetworkSettings.Networks) == 0 {
		return nil
	}
	nets, err := e.Networks()
	if err != nil {
		return err
	}
	return eachNetwork(nets, c, renameEndpoint)
}

func renameEndpoint(n *netdemo.Network, c *Container) error {
	ep, err := n.Endpoint(c.endpointName())
	if errors.Is(err, netdemo.ErrNotFound) {
		return nil // it does not run
	}
	if err != nil {
		return err
	}
	return ep.Rename(c.dnsName())
}

// endpointName is what the container's endpoints are found by. Not its name, which
// may be another's tomorrow; the short id is also a name in the DNS, as with Docker.
func (c *Container) endpointName() string { return ShortID(c.ID) }

// dnsName is the container's name, where the DNS has room for it (RFC 1035, 2.3.4).
func (c *Container) dnsName() string {
	if name := c.PlainName(); len(name) <= 63 {
		return name
	}
	return c.endpointName()
}

func leave(n *netdemo.Network, c *Container) error {
	ep, err := n.Endpoint(c.endpointName())
	if errors.Is(err, netdemo.ErrNotFound) {
		return n.Forget(c.endpointName())
	}
	if err != nil {
		return err
	}
	if err := ep.Disconnect(nil); err != nil {
		return fmt.Errorf("leave network %s: %w", n.Spec.Name, err)
	}
	return nil
}

// networkFile is where a container's network namespace can be opened.
func networkFile(pid int) string { return fmt.Sprintf("/proc/%d/ns/net", pid) }
