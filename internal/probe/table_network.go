package probe

import "strings"

func linkRows() []Probe {
	link := func(id ID, kind, since string, symbols, modules []string, effect string) Probe {
		return Probe{ID: id, Title: kind, Since: since, Symbols: symbols, Modules: modules, Live: "link:" + kind, Effect: effect, Fix: fixModules}
	}
	return rows(groupLink, network, []Probe{
		link("net.veth", "veth", "", []string{"VETH"}, []string{"veth"}, "a container cannot be connected to anything"),
		link("net.bridge", "bridge", "", []string{"BRIDGE"}, []string{"bridge"}, "no bridge network"),
		link("net.bridge.vlan-filtering", "bridge vlan_filtering", "3.9", []string{"BRIDGE_VLAN_FILTERING"}, []string{"bridge"}, "no vlans on a bridge, no overlay network as Docker's"),
		link("net.dummy", "dummy", "", []string{"DUMMY"}, []string{"dummy"}, "macvlan networks need a real parent device"),
		link("net.vxlan", "vxlan", "3.7", []string{"VXLAN"}, []string{"vxlan"}, "no overlay network over several hosts"),
		link("net.macvlan", "macvlan on veth", "", []string{"MACVLAN"}, []string{"macvlan", "veth"}, "no macvlan network"),
		link("net.ipvlan", "ipvlan on veth", "3.19", []string{"IPVLAN"}, []string{"ipvlan", "veth"}, "no ipvlan network"),
		{ID: "net.xfrm", Title: "IPsec for encrypted overlay networks", Symbols: []string{"XFRM_USER"}, Modules: []string{"xfrm_user"}, Live: "xfrm",
			Effect: "no encrypted overlay network", Fix: fixModules},
		{ID: "net.forward", Title: "IPv4 forwarding on this machine", Live: "sysctl:net.ipv4.ip_forward", place: plain, Privilege: AnyUser,
			Effect: "packets of containers do not leave this machine; labs are not touched, they have a network of their own", Fix: "sysctl -w net.ipv4.ip_forward=1   # keep it in /etc/sysctl.d/"},
		{ID: "net.forward.netns", Title: "IPv4 forwarding in a net namespace", Live: "sysctl-write:net.ipv4.ip_forward",
			Effect: "no routing between lab networks", Fix: "docker run --privileged ...   # when this is a container: /proc/sys is read-only"},
		{ID: "net.forward6", Title: "IPv6 forwarding on this machine", Live: "sysctl:net.ipv6.conf.all.forwarding", place: plain, Privilege: AnyUser,
			Effect: "IPv6 packets of containers do not leave this machine", Fix: "sysctl -w net.ipv6.conf.all.forwarding=1   # keep it in /etc/sysctl.d/"},
		{ID: "net.forward6.default", Title: "IPv6 forwarding for new devices", Live: "sysctl:net.ipv6.conf.default.forwarding", place: plain, Privilege: AnyUser,
			Effect: "IPv6 packets of new bridges do not leave this machine", Fix: "sysctl -w net.ipv6.conf.default.forwarding=1   # keep it in /etc/sysctl.d/"},
	})
}

func filterRows() []Probe {
	table := func(version, name, symbol string) Probe {
		prefix, mod := "iptables", "iptable_"+name
		if version == "6" {
			prefix, mod = "ip6tables", "ip6table_"+name
		}
		return Probe{ID: ID(prefix + ".legacy." + name), Title: "legacy " + prefix + " table " + name, Symbols: []string{symbol}, Modules: []string{mod},
			Live: "xtables:" + version + " " + name, Effect: "iptables-legacy does not work; nft is the alternative", Fix: "update-alternatives --set iptables /usr/sbin/iptables-nft   # Debian; elsewhere install iptables-nft"}
	}
	rule := func(name, title string, symbols, modules []string, effect string) Probe {
		return Probe{ID: ID("nft." + name), Title: title, Since: "3.13", Symbols: append([]string{"NF_TABLES"}, symbols...),
			Modules: append([]string{"nf_tables"}, modules...), Live: "nft-rule:" + name, Effect: effect, Fix: fixModules}
	}
	xt := func(kind, name, symbol, effect string) Probe {
		return Probe{ID: ID("xt." + strings.ToLower(name)), Title: "iptables " + kind + " " + name, Symbols: []string{symbol}, Modules: []string{"x_tables"},
			Live: "xt:" + kind + " " + name, Effect: effect, Fix: fixModules}
	}
	return rows(groupFilter, network, []Probe{
		table("4", "filter", "IP_NF_FILTER"), table("4", "nat", "IP_NF_NAT"),
		table("4", "mangle", "IP_NF_MANGLE"), table("4", "raw", "IP_NF_RAW"),
		table("6", "filter", "IP6_NF_FILTER"), table("6", "nat", "IP6_NF_NAT"),
		table("6", "mangle", "IP6_NF_MANGLE"), table("6", "raw", "IP6_NF_RAW"),
		xt("match", "conntrack", "NETFILTER_XT_MATCH_CONNTRACK", "no rules by connection state with iptables"),
		xt("match", "addrtype", "NETFILTER_XT_MATCH_ADDRTYPE", "no published ports with iptables"),
		xt("match", "comment", "NETFILTER_XT_MATCH_COMMENT", "rules cannot say who made them"),
		xt("match", "mark", "NETFILTER_XT_MARK|NETFILTER_XT_MATCH_MARK", "no swarm ingress with iptables"),
		xt("match", "multiport", "NETFILTER_XT_MATCH_MULTIPORT", "no port lists in one iptables rule"),
		xt("match", "statistic", "NETFILTER_XT_MATCH_STATISTIC", "no load balancing as kube-proxy does it"),
		xt("match", "ipvs", "NETFILTER_XT_MATCH_IPVS", "no swarm load balancing"),
		xt("match", "bpf", "NETFILTER_XT_MATCH_BPF", "no encrypted overlay network as Docker's"),
		xt("target", "MASQUERADE", "NETFILTER_XT_TARGET_MASQUERADE|IP_NF_TARGET_MASQUERADE", "containers do not reach the outside with iptables"),
		xt("target", "REDIRECT", "NETFILTER_XT_TARGET_REDIRECT|IP_NF_TARGET_REDIRECT", "the name server of a container cannot be redirected with iptables"),
		{ID: "nft", Title: "nftables", Since: "3.13", Symbols: []string{"NF_TABLES"}, Modules: []string{"nfnetlink", "nf_tables"}, Live: "nft",
			Effect: "no nft rules, and iptables-nft does not work", Fix: fixModules},
		rule("masq", "nft masquerade", []string{"NFT_MASQ"}, []string{"nft_chain_nat", "nft_masq"}, "containers do not reach the outside with nft"),
		rule("nat", "nft dnat and snat", []string{"NFT_NAT"}, []string{"nft_chain_nat", "nft_nat"}, "no published ports with nft"),
		rule("ct", "nft connection state", []string{"NFT_CT"}, []string{"nft_chain_nat", "nft_ct"}, "no rules by connection state with nft"),
		rule("fib", "nft address type", []string{"NFT_FIB", "NFT_FIB_IPV4"}, []string{"nft_chain_nat", "nft_fib", "nft_fib_ipv4"}, "no rule for 'any address of this machine'"),
		{ID: "conntrack", Title: "connection tracking by netlink", Symbols: []string{"NF_CONNTRACK", "NF_CT_NETLINK"}, Modules: []string{"nfnetlink", "nf_conntrack_netlink"}, Live: "conntrack",
			Effect: "the labs cannot show translated connections", Fix: fixModules},
		{ID: "net.br-netfilter", Title: "br_netfilter: iptables sees bridged packets", Symbols: []string{"BRIDGE_NETFILTER"}, File: "/proc/sys/net/bridge/bridge-nf-call-iptables", Live: "sysctl:net.bridge.bridge-nf-call-iptables exists", place: plain, Privilege: AnyUser, Modules: []string{"br_netfilter"},
			Effect: "containers on one bridge cannot be kept apart by iptables", Fix: "modprobe br_netfilter   # keep it in /etc/modules-load.d/"},
		{ID: "iptables.command", Title: "what this machine calls iptables", Modules: []string{"nf_tables", "iptable_nat"}, Live: "iptables:iptables",
			Effect: "labs that show iptables rules use netlink only", Fix: "apt-get install iptables   # same name elsewhere"},
		{ID: "iptables.command.nft", Title: "iptables-nft masquerade", Modules: []string{"nf_tables", "nft_compat"}, Live: "iptables:iptables-nft",
			Effect: "iptables commands need legacy tables", Fix: "apt-get install iptables   # Fedora: iptables-nft"},
		{ID: "iptables.command.legacy", Title: "iptables-legacy masquerade", Modules: []string{"iptable_nat"}, Live: "iptables:iptables-legacy",
			Effect: "the lab on legacy iptables does not work", Fix: "apt-get install iptables   # Fedora: iptables-legacy"},
	})
}
