package netdemo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Named is a namespace with the name that a drawing gives it.
type Named struct {
	Name string
	NS   *Namespace
}

// Topology is how namespaces hang together, as the kernel tells it: who is whose peer, who is a port
// of what. It is plain data; RenderTopology draws it.
type Topology struct{ Namespaces []TopologyNamespace }

// TopologyNamespace is one box with its links, by index.
type TopologyNamespace struct {
	Name  string
	Links []TopologyLink
}

// TopologyLink is a link with what is joined to it. Master and Peer are names; "" for none.
type TopologyLink struct {
	Name, Kind string
	Addresses  []string // "172.18.0.2/16"; link-local ones are left out
	MTU        int
	Up         bool // up, and with carrier
	Master     string
	PeerNS     string // name of the namespace that the other end is in, if it is among those given
	Peer       string
	Note       string // vxlan: "vni 42 to 10.0.0.2"
}

// ReadTopology reads links, addresses, peers and forwarding entries of all the namespaces.
func ReadTopology(all ...Named) (Topology, error) {
	var t Topology
	for _, n := range all {
		one, err := readTopologyNamespace(n, all)
		if err != nil {
			return t, err
		}
		t.Namespaces = append(t.Namespaces, one)
	}
	return t, nil
}

func readTopologyNamespace(n Named, all []Named) (TopologyNamespace, error) {
	out := TopologyNamespace{Name: n.Name}
	links, err := Links(n.NS)
	if err != nil {
		return out, err
	}
	addrs, err := Addresses(n.NS)
	if err != nil {
		return out, err
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Index] = l.Name
	}
	for _, l := range links {
		tl := TopologyLink{Name: l.Name, Kind: l.Kind, MTU: l.MTU, Up: l.Up && (l.Carrier || l.Kind != "veth"), Master: names[l.Master]}
		for _, a := range addrs {
			if a.Link == l.Index && a.Scope != "link" {
				tl.Addresses = append(tl.Addresses, a.Prefix.String())
			}
		}
		if err := tl.findOther(n.NS, l, all); err != nil {
			return out, err
		}
		out.Links = append(out.Links, tl)
	}
	return out, nil
}

// findOther fills in what is at the other end: of a veth a link, of a vxlan other hosts.
func (tl *TopologyLink) findOther(ns *Namespace, l Link, all []Named) error {
	if l.Kind == "veth" {
		for _, other := range all {
			if _, peer, err := Peer(ns, l, []*Namespace{other.NS}); err == nil {
				tl.PeerNS, tl.Peer = other.Name, peer.Name
				return nil
			}
		}
	}
	if l.VXLAN == nil {
		return nil
	}
	table, err := ForwardingTable(ns)
	var remotes []string
	for _, e := range table {
		if e.Link == l.Index && e.Remote.IsValid() && !slices.Contains(remotes, e.Remote.String()) {
			remotes = append(remotes, e.Remote.String())
		}
	}
	tl.Note = fmt.Sprintf("vni %d to %s", l.VXLAN.VNI, cmp.Or(strings.Join(remotes, ", "), "nobody"))
	return err
}

func (n TopologyNamespace) link(name string) (TopologyLink, bool) {
	i := slices.IndexFunc(n.Links, func(l TopologyLink) bool { return l.Name == name })
	if i < 0 {
		return TopologyLink{}, false
	}
	return n.Links[i], true
}

func (t Topology) namespace(name string) (TopologyNamespace, bool) {
	i := slices.IndexFunc(t.Namespaces, func(n TopologyNamespace) bool { return n.Name == name })
	if i < 0 {
		return TopologyNamespace{}, false
	}
	return t.Namespaces[i], true
}
