package netdemo

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// Explanation is an error in a learner's words: what failed, why that is likely, what to do.
type Explanation struct{ What, Likely, Try string }

// reason is one line of the table: an operation (prefix of Error.Op, "" for any) and a cause.
type reason struct {
	op          string
	cause       error
	likely, try string
}

// The first line that fits wins, so the lines for one operation stand before those for any.
var reasons = []reason{
	{"unshare", unix.EPERM, "making a network namespace needs CAP_SYS_ADMIN", "run as root, or inside a user namespace"},
	{"unshare", unix.EINVAL, "the kernel was built without CONFIG_NET_NS", "look: ls /proc/self/ns/net"},
	{"unshare", unix.ENOSPC, "the limit on network namespaces is reached", "look: sysctl user.max_net_namespaces"},
	{"create vxlan", unix.EOPNOTSUPP, "the kernel has no vxlan driver", "modprobe vxlan (CONFIG_VXLAN)"},
	{"create vxlan", unix.EEXIST, "a VXLAN with this VNI and port exists in the namespace", "look: ip -d link show type vxlan"},
	{"create bridge", unix.EOPNOTSUPP, "the kernel has no bridge driver", "modprobe bridge (CONFIG_BRIDGE)"},
	{"create veth", unix.EOPNOTSUPP, "the kernel has no veth driver", "modprobe veth (CONFIG_VETH)"},
	{"create", unix.EEXIST, "a link of that name is already there", "look: ip link; choose another name"},
	{"add route", unix.ENETUNREACH, "the gateway is in no subnet of this namespace, or the link is down", "look: ip addr; ip link"},
	{"add address", unix.EEXIST, "the link has this address already", "look: ip addr"},
	{"add address", unix.EACCES, "IPv6 is switched off on the link", "sysctl net.ipv6.conf.all.disable_ipv6=0"},
	{"write sysctl", unix.EROFS, "/proc/sys is mounted read-only here", "set it from the host"},
	{"write sysctl", unix.ENOENT, "the module that owns this setting is not loaded", "modprobe br_netfilter for net.bridge.*"},
	{"apply rules", unix.ENOENT, "the kernel lacks an nf_tables expression that a rule needs", "modprobe nft_nat nft_masq nft_fib_inet nft_ct"},
	{"apply rules", unix.EOPNOTSUPP, "the kernel lacks an nf_tables expression that a rule needs", "modprobe nft_nat nft_masq nft_fib_inet nft_ct"},
	{"apply rules", unix.EINVAL, "the kernel was built without CONFIG_NF_TABLES", "look: nft list ruleset"},
	{"", ErrPoolExhausted, "more containers than the subnet has addresses, or leases of dead containers", "choose a larger subnet; disconnect what is not used"},
	{"", ErrOverlap, "another network, or a route of the host, covers part of it", "look: ip route; choose another subnet"},
	{"", ErrPortInUse, "another program listens there, or another container published it", "choose another host port, or 0 for any free one"},
	{"", ErrNameTaken, "names must be unique within a network", "choose another name, or give it as an alias"},
	{"", ErrBridgeGone, "someone ran ip link del on it, or the host namespace was replaced", "remove the network and create it again"},
	{"", ErrInUse, "endpoints are still on the network", "disconnect them first"},
	{"", unix.EPERM, "changing a network needs CAP_NET_ADMIN in the namespace's owner", "run as root"},
	{"", unix.ENODEV, "the link is gone, or was moved to another namespace", "look: ip link"},
}

// Explain finds the likely reason for an error of this package. What is always filled in.
func Explain(err error) Explanation {
	e := Explanation{What: err.Error()}
	op := ""
	if own, ok := errors.AsType[*Error](err); ok {
		op = own.Op
	}
	for _, r := range reasons {
		if strings.HasPrefix(op, r.op) && errors.Is(err, r.cause) {
			e.Likely, e.Try = r.likely, r.try
			break
		}
	}
	return e
}
