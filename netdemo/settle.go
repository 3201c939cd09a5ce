package netdemo

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Settle has the kernel finish what links' coming up has started, in namespaces whose links were joined
// piece by piece. News of a carrier is handled by a worker, up to a second late; until then a bridge
// keeps the port shut, and packets are lost without a word. Asking for a link makes the kernel handle
// its news first (rtnl_getlink, since Linux 5.16). Bridges come last: they open when a port has opened.
func Settle(namespaces ...*Namespace) error {
	for _, bridges := range []bool{false, true} {
		for _, ns := range namespaces {
			if err := settleLinks(ns, bridges); err != nil {
				return err
			}
		}
	}
	return nil
}

func settleLinks(ns *Namespace, bridges bool) error {
	links, err := Links(ns)
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Up && (l.Kind == "bridge") == bridges {
			// A link that has gone meanwhile has nothing left to settle.
			if _, err := LinkByName(ns, l.Name); err != nil && !errors.Is(err, unix.ENODEV) {
				return err
			}
		}
	}
	return nil
}

// settle is Settle for the links of one endpoint: the port can open when both its ends are up, the
// bridge when a port is open.
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
