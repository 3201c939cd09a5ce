package netdemo

import "fmt"

// overlay looks at the VXLAN, when the bridge has one and the other end is not on this host.
func (w *walker) overlay() error {
	if w.path.FarHost == nil || w.path.To == nil || w.inLink == "" {
		return nil
	}
	vxlan, err := vxlanPort(w.path.Host, w.inLink)
	if err != nil {
		return err
	}
	w.bridged = true
	if vxlan == nil {
		w.broken("link", "host", "make a vxlan link and set its master to "+w.inLink, "the bridge %s has no vxlan port to the other host", w.inLink)
		return nil
	}
	if !vxlan.Up {
		w.broken("link", "host", "ip link set "+vxlan.Name+" up", "%s is down", vxlan.Name)
		return nil
	}
	if w.link.MTU > vxlan.MTU {
		w.broken("mtu", "from", fmt.Sprintf("ip link set %s mtu %d", w.link.Name, vxlan.MTU),
			"%s has mtu %d but %s only %d: larger frames vanish", w.link.Name, w.link.MTU, vxlan.Name, vxlan.MTU)
		return nil
	}
	if err := w.sameVNI(*vxlan); err != nil || w.found.Broken() != nil {
		return err
	}
	return w.remoteEntry(*vxlan)
}

func vxlanPort(host *Namespace, bridge string) (*Link, error) {
	ports, err := BridgePorts(host, bridge)
	for _, l := range ports {
		if l.VXLAN != nil {
			return &l, err
		}
	}
	return nil, err
}

func (w *walker) sameVNI(near Link) error {
	links, err := Links(w.path.FarHost)
	for _, l := range links {
		if l.VXLAN != nil && (l.VXLAN.VNI != near.VXLAN.VNI || l.VXLAN.Port != near.VXLAN.Port) {
			w.broken("link", "far host", "make both with one VNI and port", "the VXLANs differ: vni %d port %d here, vni %d port %d there",
				near.VXLAN.VNI, near.VXLAN.Port, l.VXLAN.VNI, l.VXLAN.Port)
		}
	}
	return err
}

// remoteEntry wants the other container's MAC in the forwarding table, with a host that is reachable.
func (w *walker) remoteEntry(vxlan Link) error {
	_, mac := w.holderOf(w.dst.Addr())
	table, err := ForwardingTable(w.path.Host)
	if err != nil {
		return err
	}
	for _, e := range table {
		if e.Link != vxlan.Index || e.MAC.String() != mac.String() || !e.Remote.IsValid() {
			continue
		}
		if _, err := RouteTo(w.path.Host, e.Remote); err != nil {
			w.broken("route", "host", "ip route add", "no route on the underlay to %s, where %s is said to be", e.Remote, mac)
			return nil
		}
		return w.remoteIsRight(e, vxlan)
	}
	w.broken("forwarding", "host", fmt.Sprintf("bridge fdb append %s dev %s dst HOST", mac, vxlan.Name),
		"the forwarding table of %s has no host for %s", vxlan.Name, mac)
	return nil
}

func (w *walker) remoteIsRight(e ForwardingEntry, vxlan Link) error {
	addrs, err := Addresses(w.path.FarHost)
	for _, a := range addrs {
		if a.Prefix.Addr() == e.Remote {
			w.ok("forwarding", "host", "%s sends frames for %s to %s", vxlan.Name, e.MAC, e.Remote)
			return nil
		}
	}
	w.broken("forwarding", "host", fmt.Sprintf("bridge fdb replace %s dev %s dst HOST", e.MAC, vxlan.Name),
		"%s sends frames for %s to %s, which is not the host that it is on", vxlan.Name, e.MAC, e.Remote)
	return err
}
