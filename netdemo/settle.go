package netdemo

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
)

// settle has the kernel finish what the link's coming up has started. News of a carrier is handled by a
// worker, up to a second late; until then the bridge keeps the port shut, and packets are lost without
// a word. Asking for a link makes the kernel handle its news first (rtnl_getlink, since Linux 5.16).
// In this order: the port can open when both ends are up, the bridge when a port is open.
func (e *Endpoint) settle(n *Network, ns *Namespace) error {
	if _, err := LinkByName(ns, e.Joined.Interface); err != nil {
		return err
	}
	if _, err := LinkByName(e.c.host, e.HostLink); err != nil {
		return err
	}
	if _, err := LinkByName(e.c.host, n.Spec.Bridge); err != nil || !n.Spec.Subnet6.IsValid() {
		return err
	}
	if err := awaitSolicited(ns, e.Joined.Interface, e.Address6); err != nil {
		return err
	}
	return awaitSolicited(e.c.host, n.Spec.Bridge, n.Spec.Gateway6)
}

// awaitSolicited waits until the link hears neighbour solicitations for addr: they go to a multicast
// group made of its last three bytes (RFC 4291), which the kernel joins from a worker, some time after
// the link has come up. A second of waiting is the neighbour's own patience; then let it try.
func awaitSolicited(ns *Namespace, link string, addr netip.Addr) error {
	b := addr.As16()
	group := fmt.Sprintf("ff0200000000000000000001ff%02x%02x%02x", b[13], b[14], b[15])
	return ns.Do(func() error {
		for range 500 {
			groups, err := os.ReadFile(procRoot + "/thread-self/net/igmp6")
			if err != nil {
				return &Error{Op: "read multicast groups of", Subject: link, Err: err}
			}
			for line := range strings.Lines(string(groups)) {
				// 7    eth0            ff0200000000000000000001ff000003     1 00000004 0
				if f := strings.Fields(line); len(f) > 2 && f[1] == link && f[2] == group {
					return nil
				}
			}
			time.Sleep(2 * time.Millisecond)
		}
		return nil
	})
}
