package netdemo

import (
	"net/netip"

	"github.com/google/nftables"
)

// The rules of one address family stand in one table. A packet meets them in this order:
//
//	prerouting ─► publish         a published port becomes the container's address and port
//	   │
//	 routing decision ─► (to the host itself: the proxy, the resolver ...)
//	   │
//	forward ─► isolate ─► isolate-2    from one network into another: dropped
//	   │      established, related     answers pass
//	   │   ─► admit                    new ones to a published port pass
//	   │   ─► networks                 out of a network passes, into one does not
//	   │
//	postrouting                        leaving for the outside: masqueraded
//
// The host's own connections start at output ─► publish. (A chain cannot be called "dnat": nft(8) takes
// that for the statement.)

// TableName is the name of the table, in family ip and in family ip6: "nft list table ip cutaway".
const TableName = "cutaway"

// plannedRule is a rule that is not in the kernel yet. Owner is kept as the rule's comment: the rules
// of one network or endpoint are found again by it, also by another process.
type plannedRule struct {
	family nftables.TableFamily
	chain  string
	owner  string
	exprs  program
}

type plannedChain struct {
	name     string
	kind     nftables.ChainType // "" for a chain that is only jumped to
	hook     *nftables.ChainHook
	priority *nftables.ChainPriority
}

// hostChains lists the chains in the order in which they can be made: a jump needs its target.
func hostChains() []plannedChain {
	return []plannedChain{
		{name: "publish"}, {name: "isolate-2"}, {name: "isolate"}, {name: "admit"}, {name: "networks"},
		{"prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest},
		{"output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest},
		{"postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource},
		{"forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter},
	}
}

const frameOwner = "frame"

// frameRules joins the chains; they are there once, however many networks there are.
func frameRules(f nftables.TableFamily) []plannedRule {
	return []plannedRule{
		{f, "prerouting", frameOwner, join(localAddr(false), jump("publish"))},
		{f, "output", frameOwner, join(localAddr(false), jump("publish"))},
		{f, "forward", frameOwner, jump("isolate")},
		{f, "forward", frameOwner, join(established(), accept())},
		{f, "forward", frameOwner, jump("admit")},
		{f, "forward", frameOwner, jump("networks")},
	}
}

func networkOwner(bridge string) string { return "network " + bridge }
func endpointOwner(id string) string    { return "endpoint " + id[:12] }

// networkRules are what one subnet on one bridge needs.
func networkRules(bridge string, sub netip.Prefix, internal, hairpin bool) []plannedRule {
	f, owner := familyOf(sub.Addr()), networkOwner(bridge)
	if internal {
		// Both directions by address, not by link: a host with a foreign address on the
		// bridge is kept out too.
		return []plannedRule{
			{f, "isolate", owner, join(from(bridge), notDaddr(sub), drop())},
			{f, "isolate", owner, join(to(bridge), notSaddr(sub), drop())},
		}
	}
	rules := []plannedRule{
		{f, "isolate", owner, join(from(bridge), notTo(bridge), jump("isolate-2"))},
		{f, "isolate-2", owner, join(to(bridge), drop())},
		{f, "networks", owner, join(from(bridge), accept())},
		{f, "networks", owner, join(to(bridge), drop())},
		masqueradeRule(bridge, sub),
	}
	if hairpin {
		rules = append(rules, hairpinRule(bridge, sub.Addr()))
	}
	return rules
}

// hairpinRule is for what comes from 127.0.0.1 of the host to a published port: no container could answer to
// that source.
func hairpinRule(bridge string, like netip.Addr) plannedRule {
	return plannedRule{familyOf(like), "postrouting", networkOwner(bridge), join(localAddr(true), to(bridge), masquerade())}
}

// portRules publish one port of the container with address addr.
func portRules(bridge, owner string, sub netip.Prefix, addr netip.Addr, p PortSpec, hairpin bool) []plannedRule {
	f := familyOf(addr)
	var match program
	if p.HostIP.IsValid() && !p.HostIP.IsUnspecified() {
		match = daddr(single(p.HostIP))
	}
	if !hairpin {
		// The proxy serves what comes from the bridge and from loopback, so DNAT must leave it alone.
		match = join(match, notFrom(bridge), notDaddr(loopback(addr)))
	}
	target := netip.AddrPortFrom(addr, p.ContainerPort)
	rules := []plannedRule{
		{f, "publish", owner, join(match, dport(p.Proto, p.HostPort), dnat(target))},
		{f, "admit", owner, join(notFrom(bridge), to(bridge), daddr(single(addr)), dport(p.Proto, p.ContainerPort), accept())},
	}
	if hairpin {
		// A neighbour on the same bridge would get the answer straight from the container, from an
		// address that it never asked. Masqueraded, the answer comes back through the host.
		rules = append(rules, plannedRule{f, "postrouting", owner, join(saddr(sub), daddr(single(addr)),
			dport(p.Proto, p.ContainerPort), wasDNATed(), masquerade())})
	}
	return rules
}

func loopback(like netip.Addr) netip.Prefix {
	if like.Is4() {
		return netip.MustParsePrefix("127.0.0.0/8")
	}
	return netip.MustParsePrefix("::1/128")
}
