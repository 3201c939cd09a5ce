package netdemo

import "net/netip"

// Masquerade lets a subnet behind a bridge speak to the outside under the host's address: NFT_MSG_NEWRULE.
// What leaves for anywhere but the bridge itself gets the address of the link that it leaves by; conntrack
// turns the answers back. CreateNetwork has this rule among others; here it is alone, to be looked at.
//
//	nft add rule ip cutaway postrouting ip saddr SUBNET oifname != BRIDGE counter masquerade
func Masquerade(host *Namespace, bridge string, subnet netip.Prefix) error {
	if err := ensureFrame(host, familyOf(subnet.Addr())); err != nil {
		return err
	}
	return addRules(host, []plannedRule{masqueradeRule(bridge, subnet)})
}

// masqueradeRule leaves alone what stays on the bridge: neighbours know each other by their own addresses.
func masqueradeRule(bridge string, subnet netip.Prefix) plannedRule {
	return plannedRule{familyOf(subnet.Addr()), "postrouting", networkOwner(bridge), join(saddr(subnet), notTo(bridge), masquerade())}
}
