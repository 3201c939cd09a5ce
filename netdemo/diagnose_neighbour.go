package netdemo

import (
	"fmt"
	"net"
	"net/netip"
	"time"
)

// fromNeighbour wants the next hop's MAC, and the right one.
func (w *walker) fromNeighbour() error {
	if w.link.Name == "lo" || w.local {
		return nil
	}
	return w.neighbour("from", w.path.From, w.link, w.nextHop)
}

func (w *walker) neighbour(where string, ns *Namespace, link Link, hop netip.Addr) error {
	n, err := resolve(ns, link.Index, hop)
	if err != nil {
		return err
	}
	holder, mac := w.holderOf(hop)
	switch {
	case n.MAC == nil && holder == "":
		w.broken("neighbour", where, "give the address to the link that should have it", "nobody answers for %s, and no link here has that address", hop)
	case n.MAC == nil:
		w.broken("neighbour", where, "look: tcpdump -e arp on both sides", "%s does not answer, although %s has it", hop, holder)
	case mac != nil && mac.String() != n.MAC.String():
		w.broken("neighbour", where, fmt.Sprintf("ip neigh del %s dev %s", hop, link.Name),
			"%s is taken to be at %s (%s), but %s has %s", hop, n.MAC, n.State, holder, mac)
	default:
		w.ok("neighbour", where, "%s is at %s (%s)", hop, n.MAC, n.State)
	}
	return nil
}

// resolve makes the kernel ask for the address, and waits for what comes of it.
func resolve(ns *Namespace, link int, hop netip.Addr) (Neighbour, error) {
	ns.Do(func() error {
		c, err := net.Dial("udp", netip.AddrPortFrom(hop, 9).String())
		if err == nil {
			c.Write(nil)
			c.Close()
		}
		return err
	})
	var last Neighbour
	for range 24 {
		list, err := Neighbours(ns)
		if err != nil {
			return last, err
		}
		for _, n := range list {
			if n.Link == link && n.Addr == hop {
				last = n
			}
		}
		if last.MAC != nil && last.State != "FAILED" || last.State == "FAILED" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if last.State == "FAILED" || last.State == "INCOMPLETE" {
		last.MAC = nil
	}
	return last, nil
}

// holderOf looks for the address in the namespaces that are known: which link has it, and its MAC.
func (w *walker) holderOf(addr netip.Addr) (link string, mac net.HardwareAddr) {
	for _, ns := range []*Namespace{w.path.Host, w.path.To, w.path.FarHost} {
		if ns == nil {
			continue
		}
		addrs, _ := Addresses(ns)
		for _, a := range addrs {
			if a.Prefix.Addr() != addr {
				continue
			}
			if l, err := ns.nl.LinkByIndex(a.Link); err == nil {
				return l.Attrs().Name, l.Attrs().HardwareAddr
			}
		}
	}
	return "", nil
}
