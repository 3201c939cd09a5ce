package netdemo

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// BridgeSpec describes a switch to make.
type BridgeSpec struct {
	Name string
	MTU  int // bytes; 0 leaves the kernel's 1500
}

// CreateBridge makes a bridge and sets it up: RTM_NEWLINK, kind "bridge". See ip-link(8).
func CreateBridge(host *Namespace, spec BridgeSpec) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.Flags = spec.Name, spec.MTU, net.FlagUp
	// A bridge takes the lowest MAC of its ports until it is given one; then its own address
	// would change as containers come and go, and ARP entries for the gateway go stale.
	attrs.HardwareAddr = randomMAC()
	return wrap("create bridge", spec.Name, host.nl.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}))
}

// VethSpec describes a pair of links. What is sent into one end comes out of the other.
type VethSpec struct {
	Name, Peer string           // names of the two ends
	PeerMAC    net.HardwareAddr // nil: random
	PeerIn     *Namespace       // where Peer is made; nil: beside Name
	Master     string           // bridge that Name becomes a port of; "" for none
	MTU        int              // of both ends; 0 leaves the kernel's 1500
}

// CreateVeth makes both ends of a pair in one RTM_NEWLINK (kind "veth", nested VETH_INFO_PEER), so
// that either both exist or none. Name is set up. See veth(4).
func CreateVeth(ns *Namespace, spec VethSpec) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.Flags = spec.Name, spec.MTU, net.FlagUp
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerHardwareAddr, veth.PeerMTU = spec.Peer, spec.PeerMAC, uint32(spec.MTU)
	if spec.PeerIn != nil {
		veth.PeerNamespace = netlink.NsFd(spec.PeerIn.Fd())
	}
	if spec.Master != "" {
		master, err := ns.nl.LinkByName(spec.Master)
		if err != nil {
			return &Error{Op: "find bridge", Subject: spec.Master, Err: linkGone(err)}
		}
		veth.MasterIndex = master.Attrs().Index
	}
	return wrap("create veth", spec.Name+" peer "+spec.Peer, ns.nl.LinkAdd(veth))
}

// SetMaster makes the link a port of the bridge: RTM_SETLINK with IFLA_MASTER.
func SetMaster(ns *Namespace, link, bridge string) error {
	return onLink(ns, "set master of", link, func(l netlink.Link) error {
		master, err := ns.nl.LinkByName(bridge)
		if err != nil {
			return &Error{Op: "find bridge", Subject: bridge, Err: linkGone(err)}
		}
		return ns.nl.LinkSetMaster(l, master)
	})
}

// MoveLink moves a link into another namespace and names it there: RTM_SETLINK with IFLA_NET_NS_FD,
// then with IFLA_IFNAME. The move takes its addresses off and sets it down.
func MoveLink(from *Namespace, link string, to *Namespace, name string) error {
	err := onLink(from, "move", link, func(l netlink.Link) error { return from.nl.LinkSetNsFd(l, to.Fd()) })
	if err != nil || name == link {
		return err
	}
	return RenameLink(to, link, name)
}

// RenameLink gives a link that is down another name: RTM_SETLINK with IFLA_IFNAME.
func RenameLink(ns *Namespace, link, name string) error {
	return onLink(ns, "rename", link, func(l netlink.Link) error { return ns.nl.LinkSetName(l, name) })
}

// SetUp sets the IFF_UP flag: ip link set LINK up.
func SetUp(ns *Namespace, link string) error {
	return onLink(ns, "set up", link, ns.nl.LinkSetUp)
}

// SetDown clears the IFF_UP flag; the kernel drops the routes that go over the link.
func SetDown(ns *Namespace, link string) error {
	return onLink(ns, "set down", link, ns.nl.LinkSetDown)
}

// SetMTU sets the largest packet, in bytes, that the link takes: IFLA_MTU.
func SetMTU(ns *Namespace, link string, mtu int) error {
	return onLink(ns, fmt.Sprintf("set mtu %d of", mtu), link, func(l netlink.Link) error {
		return ns.nl.LinkSetMTU(l, mtu)
	})
}

// SetHairpin lets a bridge send a frame back out of the port that it came from
// (IFLA_BRPORT_MODE): a container that calls its own published port needs it.
func SetHairpin(ns *Namespace, port string, on bool) error {
	return onLink(ns, "set hairpin of", port, func(l netlink.Link) error { return ns.nl.LinkSetHairpin(l, on) })
}

// DeleteLink removes a link: RTM_DELLINK. The peer of a veth goes with it, in whichever namespace
// it is. A link that is not there is no error: the aim is reached.
//
// It returns when the kernel knows the link no more: no port, no name, no route by it. The kernel's own
// answer comes 10 to 20 ms later, when every CPU has let go of the link's memory (rcu_barrier in
// netdev_run_todo); nobody but the kernel needs to wait for that.
func DeleteLink(ns *Namespace, link string) error {
	l, err := ns.nl.LinkByName(link)
	if err == nil {
		err = deleteUntilGone(ns, l)
	}
	if err = linkGone(err); errors.Is(err, unix.ENODEV) {
		return nil
	}
	return wrap("delete link", link, err)
}

func deleteUntilGone(ns *Namespace, l netlink.Link) error {
	// A socket of its own: the namespace's is busy until its answer has come.
	nl, err := netlink.NewHandleAt(netns.NsHandle(ns.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	answer := make(chan error, 1)
	go func() {
		answer <- nl.LinkDel(l)
		nl.Close()
	}()
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, time.Millisecond) {
		select {
		case err := <-answer:
			return err
		case <-time.After(pause):
		}
		if _, err := ns.nl.LinkByIndex(l.Attrs().Index); errors.As(err, &netlink.LinkNotFoundError{}) {
			return nil
		}
	}
}

func onLink(ns *Namespace, op, name string, act func(netlink.Link) error) error {
	l, err := ns.nl.LinkByName(name)
	if err != nil {
		return &Error{Op: op, Subject: name, Err: linkGone(err)}
	}
	return wrap(op, name, act(l))
}

// linkGone turns the library's own "Link not found" into the errno that it stands for.
func linkGone(err error) error {
	if _, ok := errors.AsType[netlink.LinkNotFoundError](err); ok {
		return unix.ENODEV
	}
	return err
}
