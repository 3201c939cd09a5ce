package minicontainer

import (
	"errors"
	"os"
	"slices"
	"strings"

	"cutaway/netdemo"
)

// NetworkDetails are a network with who is on it now.
type NetworkDetails struct {
	NetworkRecord
	Endpoints []*netdemo.Endpoint
}

// InspectNetwork finds a network by name or id.
func (e *Engine) InspectNetwork(ref string) (*NetworkDetails, error) {
	name, err := e.resolveNetwork(ref)
	if err != nil {
		return nil, err
	}
	n, err := e.Network(name)
	if err != nil {
		return nil, err
	}
	d := &NetworkDetails{NetworkRecord: NetworkRecord{ID: n.ID, Spec: n.Spec}}
	if name != "bridge" {
		r, err := e.readNetwork(name)
		if err != nil {
			return nil, err
		}
		d.NetworkRecord = *r
	}
	d.Endpoints, err = n.Endpoints()
	return d, err
}

// RemoveNetwork removes a network that nobody is on.
func (e *Engine) RemoveNetwork(ref string) error {
	if slices.Contains([]string{"bridge", "host", "none"}, ref) {
		return conflictf("%s is a pre-defined network and cannot be removed", ref)
	}
	name, err := e.resolveNetwork(ref)
	if err != nil {
		return err
	}
	nets, err := e.Networks()
	if err != nil {
		return err
	}
	n, err := nets.Network(name)
	if err == nil {
		err = n.Delete()
	}
	if errors.Is(err, netdemo.ErrInUse) {
		return conflictf("error while removing network: network %s has active endpoints: %v", name, err)
	}
	if err != nil && !errors.Is(err, netdemo.ErrNotFound) {
		return err
	}
	return os.Remove(e.networkFile(name))
}

// PruneNetworks removes the networks that no container is on, or would be on if
// it ran.
func (e *Engine) PruneNetworks() ([]string, error) {
	all, err := e.ListNetworks()
	if err != nil {
		return nil, err
	}
	containers, err := e.List(ListOptions{All: true})
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, r := range all {
		used := slices.ContainsFunc(containers, func(c *Container) bool { return c.NetworkSettings.Networks[r.Spec.Name] != nil })
		if r.Spec.Name == "bridge" || used {
			continue
		}
		if err := e.RemoveNetwork(r.Spec.Name); err != nil {
			return gone, err
		}
		gone = append(gone, r.Spec.Name)
	}
	return gone, nil
}

// ConnectNetwork puts a container on one more network: at once if it runs.
func (e *Engine) ConnectNetwork(network, ref string, s EndpointSettings) error {
	name, err := e.resolveNetwork(network)
	if err != nil {
		return err
	}
	c, err := e.Inspect(ref)
	if err != nil {
		return err
	}
	joined := false
	_, err = e.Change(c.ID, func(c *Container) error {
		mode, err := c.Mode()
		switch {
		case err != nil:
			return err
		case mode.Kind == netdemo.ModeHost:
			return conflictf("container cannot be connected to network %s: container is using the host's network", name)
		case mode.Kind == netdemo.ModeContainer:
			return conflictf("container sharing network namespace with another container or host cannot be connected to any other network")
		case c.NetworkSettings.Networks[name] != nil && c.State.Running:
			return conflictf("endpoint with name %s already exists in network %s", c.PlainName(), name)
		}
		n, err := e.Network(name)
		if err != nil {
			return err
		}
		if err := mayAsk(n, s.IPAddress); err != nil {
			return err
		}
		s.Asked = s.IPAddress
		c.NetworkSettings.Networks[name] = &s
		if !c.State.Running || c.State.Restarting {
			return nil
		}
		ns, err := netdemo.OpenPid(c.State.Pid)
		if err != nil {
			return err
		}
		defer ns.Close()
		joined = true
		return e.join(c, ns, name, false)
	})
	if err != nil || !joined {
		return err
	}
	return e.ask(c.ID, Request{Names: true})
}

// DisconnectNetwork takes a container off a network.
func (e *Engine) DisconnectNetwork(network, ref string) error {
	name, err := e.resolveNetwork(network)
	if err != nil {
		return err
	}
	c, err := e.Inspect(ref)
	if err != nil {
		return err
	}
	_, err = e.Change(c.ID, func(c *Container) error {
		s := c.NetworkSettings.Networks[name]
		if s == nil {
			return conflictf("container %s is not connected to network %s", c.ID, strings.TrimSpace(name))
		}
		if c.State.Running {
			if err := e.unplug(name, c); err != nil {
				return err
			}
		}
		delete(c.NetworkSettings.Networks, name)
		return nil
	})
	return err
}

// unplug disconnects with the sandbox open, whose default route may have to
// move to another network.
func (e *Engine) unplug(network string, c *Container) error {
	n, err := e.Network(network)
	if err != nil {
		return err
	}
	ep, err := n.Endpoint(c.endpointName())
	if errors.Is(err, netdemo.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	ns, err := netdemo.OpenPid(c.State.Pid)
	if err != nil {
		return err
	}
	defer ns.Close()
	return ep.Disconnect(&netdemo.Sandbox{ID: c.ID, NS: ns})
}
