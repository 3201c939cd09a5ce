package minicontainer

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"cutaway/netdemo"
)

// publishedPorts turns the bindings ("80/tcp" to host ports) into what the
// network wants. With -P every exposed port gets a free one.
func (c *Container) publishedPorts() ([]netdemo.PortSpec, error) {
	var all []netdemo.PortSpec
	for port, bindings := range c.HostConfig.PortBindings {
		for _, b := range bindings {
			spec, err := portSpec(port, b)
			if err != nil {
				return nil, err
			}
			all = append(all, spec)
		}
	}
	if c.HostConfig.PublishAllPorts {
		for port := range c.Config.ExposedPorts {
			if _, bound := c.HostConfig.PortBindings[port]; bound {
				continue
			}
			spec, err := portSpec(port, PortBinding{})
			if err != nil {
				return nil, err
			}
			all = append(all, spec)
		}
	}
	// In a fixed order, so that the same ports fail or succeed each time.
	slices.SortFunc(all, func(a, b netdemo.PortSpec) int { return strings.Compare(a.String(), b.String()) })
	return all, nil
}

func portSpec(port string, b PortBinding) (netdemo.PortSpec, error) {
	number, proto, err := splitPort(port)
	if err != nil {
		return netdemo.PortSpec{}, err
	}
	spec := netdemo.PortSpec{Proto: proto, ContainerPort: number}
	if b.HostPort != "" {
		if err := spec.SetHostPorts(b.HostPort); err != nil {
			return spec, invalidf("Invalid hostPort: %s", b.HostPort)
		}
	}
	if b.HostIP != "" && b.HostIP != "0.0.0.0" {
		if spec.HostIP, err = netip.ParseAddr(b.HostIP); err != nil {
			return spec, invalidf("Invalid ip address: %s", b.HostIP)
		}
	}
	return spec, nil
}

func splitPort(port string) (uint16, netdemo.Protocol, error) {
	number, proto, found := strings.Cut(port, "/")
	if !found {
		proto = "tcp"
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || (proto != "tcp" && proto != "udp") {
		return 0, "", invalidf("invalid port %q: want NUMBER/tcp or NUMBER/udp", port)
	}
	return uint16(n), netdemo.Protocol(proto), nil
}

// portsNow is where the ports appear, exposed ones without a place included.
func portsNow(exposed map[string]struct{}, ep *netdemo.Endpoint) map[string][]PortBinding {
	ports := map[string][]PortBinding{}
	for port := range exposed {
		if !strings.Contains(port, "/") {
			port += "/tcp"
		}
		ports[port] = nil
	}
	for _, p := range ep.Joined.Published {
		key := fmt.Sprintf("%d/%s", p.ContainerPort, p.Proto)
		host := "0.0.0.0"
		if p.HostIP.IsValid() {
			host = p.HostIP.String()
		}
		ports[key] = append(ports[key], PortBinding{HostIP: host, HostPort: strconv.Itoa(int(p.HostPort))})
	}
	return ports
}

// PortLine is one line of `port`.
type PortLine struct {
	Port    string // "80/tcp"
	Binding PortBinding
}

// Ports lists where a container's ports appear on the host.
func (e *Engine) Ports(ref string) ([]PortLine, error) {
	c, err := e.Inspect(ref)
	if err != nil {
		return nil, err
	}
	var lines []PortLine
	for port, bindings := range c.NetworkSettings.Ports {
		for _, b := range bindings {
			lines = append(lines, PortLine{port, b})
		}
	}
	slices.SortFunc(lines, func(a, b PortLine) int { return strings.Compare(a.Port+a.Binding.HostPort, b.Port+b.Binding.HostPort) })
	return lines, nil
}
