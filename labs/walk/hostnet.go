package walk

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"cutaway/internal/netdump"
)

// emptyHostNet takes away what the steps made in the lab host's network: links,
// packet filter rules, and the connections that conntrack remembers. The net
// namespace lives as long as the worker does, so a lab that is begun again,
// after going back, would find them in its way.
//
// The namespaces of containers that ended a moment ago are being cleared away by
// the kernel meanwhile, and take their veths out of this one: a dump may be
// interrupted, and a link gone before we come to it.
func emptyHostNet() error {
	links, err := netdump.Whole(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("list the links of the lab host: %w", err)
	}
	var errs []error
	for _, l := range links {
		// A new net namespace has lo and, with some modules loaded, tunnels
		// such as sit0 that cannot be deleted. A veth may have gone meanwhile
		// with its other end.
		if kind := l.Type(); kind == "bridge" || kind == "veth" || kind == "vxlan" || kind == "dummy" {
			if err := netlink.LinkDel(l); err != nil && linkIsThere(l) {
				errs = append(errs, fmt.Errorf("delete link %s: %w", l.Attrs().Name, err))
			}
		}
	}
	errs = append(errs, flushRules())
	// A kernel without conntrack has nothing to forget.
	if err := netlink.ConntrackTableFlush(netlink.ConntrackTable); err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) {
		errs = append(errs, fmt.Errorf("forget the lab host's connections: %w", err))
	}
	return errors.Join(errs...)
}

func linkIsThere(l netlink.Link) bool {
	_, err := netlink.LinkByName(l.Attrs().Name)
	return err == nil
}

// flushRules deletes all nf_tables tables. A kernel without nf_tables has none.
func flushRules() error {
	c, err := nftables.New()
	if err != nil {
		return nil
	}
	if tables, err := c.ListTables(); err != nil || len(tables) == 0 {
		return nil
	}
	c.FlushRuleset()
	return c.Flush()
}
