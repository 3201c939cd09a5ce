package probe

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Attribute numbers of linux/if_link.h that x/sys has no name for.
const (
	vethInfoPeer        = 1
	bridgeVlanFiltering = 7
	vxlanID             = 1
)

// newLink makes a network device in the child's own net namespace; it goes
// away with the namespace. The argument is the kind, "kind on veth" for those
// that sit on another device, or "bridge vlan_filtering".
func newLink(_ *stage, arg string) Finding {
	c, err := dial(unix.NETLINK_ROUTE)
	if err != nil {
		return asked("socket(NETLINK_ROUTE)", err, verdict{})
	}
	defer c.close()
	kind, more, _ := strings.Cut(arg, " ")
	var parent []byte
	if more == "on veth" {
		// lo as a parent is EINVAL for its own reasons: make a real one.
		if _, err := c.ask(createLink("veth", kind+"-p", vethPeer(kind+"-q"), nil)); err != nil {
			return asked("RTM_NEWLINK veth", err, verdict{}).because("the veth pair to put it on could not be made")
		}
		index, err := linkIndex(kind + "-p")
		if err != nil {
			return asked("SIOCGIFINDEX", err, verdict{})
		}
		parent = attr(unix.IFLA_LINK, u32(index))
	}
	said, err := c.ask(createLink(kind, "probe-"+kind[:min(len(kind), 6)]+tail(more), linkData(arg), parent))
	return asked("RTM_NEWLINK "+arg, err, verdict{absent: []unix.Errno{unix.EOPNOTSUPP}}).with(said)
}

// tail keeps two devices of one kind apart.
func tail(more string) string {
	if more == "" {
		return ""
	}
	return "2"
}

// linkData returns what a kind wants inside IFLA_INFO_DATA.
func linkData(arg string) []byte {
	switch arg {
	case "veth":
		return vethPeer("probe-peer")
	case "vxlan":
		return attr(vxlanID, u32(42))
	case "bridge vlan_filtering":
		return attr(bridgeVlanFiltering, []byte{1})
	}
	return nil
}

// vethPeer describes the other end: a whole link message inside an attribute.
func vethPeer(name string) []byte {
	return attr(vethInfoPeer, make([]byte, unix.SizeofIfInfomsg), attr(unix.IFLA_IFNAME, text0(name)))
}

// createLink makes the RTM_NEWLINK message.
func createLink(kind, name string, data, parent []byte) []byte {
	info := attr(unix.IFLA_INFO_KIND, text0(kind))
	if data != nil {
		info = append(info, nest(unix.IFLA_INFO_DATA, data)...)
	}
	return message(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK,
		make([]byte, unix.SizeofIfInfomsg), attr(unix.IFLA_IFNAME, text0(name)),
		parent, nest(unix.IFLA_LINKINFO, info))
}

// linkIndex asks for the number of a device by name.
func linkIndex(name string) (uint32, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request)
	return request.Uint32(), err
}

// xfrmSocket opens the netlink family of IPsec, which encrypted overlay
// networks configure.
func xfrmSocket(*stage, string) Finding {
	c, err := dial(unix.NETLINK_XFRM)
	if err == nil {
		c.close()
	}
	return asked("socket(NETLINK_XFRM)", err, verdict{absent: []unix.Errno{unix.EPROTONOSUPPORT}})
}
