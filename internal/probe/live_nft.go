package probe

import (
	"golang.org/x/sys/unix"
)

// nfnetlink messages begin with struct nfgenmsg: family 1, version 1, resource
// id 2 (big endian). Their type is subsystem<<8 | message.

func nfgen(family byte, resource uint16) []byte {
	return []byte{family, unix.NFNETLINK_V0, byte(resource >> 8), byte(resource)}
}

func nftType(m uint16) uint16 { return unix.NFNL_SUBSYS_NFTABLES<<8 | m }

// askNetfilter opens a socket for one conversation. A subsystem that is not
// there answers EINVAL to a single message, EOPNOTSUPP only inside a batch.
func askNetfilter(call string, v verdict, messages ...[]byte) Finding {
	c, err := dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return asked("socket(NETLINK_NETFILTER)", err, verdict{absent: []unix.Errno{unix.EPROTONOSUPPORT}})
	}
	defer c.close()
	said, err := c.ask(messages...)
	return asked(call, err, v).with(said)
}

// nftSubsystem asks for the generation number of the rule set.
func nftSubsystem(*stage, string) Finding {
	return askNetfilter("nfnetlink NFT_MSG_GETGEN", absentEINVAL,
		message(nftType(unix.NFT_MSG_GETGEN), unix.NLM_F_ACK, nfgen(unix.AF_UNSPEC, 0)))
}

// conntrackDump asks for the connections of a namespace that has none.
func conntrackDump(*stage, string) Finding {
	const get = 1 // IPCTNL_MSG_CT_GET
	return askNetfilter("nfnetlink CT_GET dump", absentEINVAL,
		message(unix.NFNL_SUBSYS_CTNETLINK<<8|get, unix.NLM_F_DUMP, nfgen(unix.AF_INET, 0)))
}

// nftCompat asks nftables for an iptables extension.
func nftCompat(kind, name string) Finding {
	target := uint32(0)
	if kind == "target" {
		target = 1
	}
	return askNetfilter("nfnetlink NFT_COMPAT_GET "+kind+" "+name,
		verdict{absent: []unix.Errno{unix.EINVAL, unix.ENOENT}, present: []unix.Errno{unix.EPROTONOSUPPORT}},
		message(unix.NFNL_SUBSYS_NFT_COMPAT<<8, unix.NLM_F_ACK, nfgen(unix.AF_INET, 0),
			attr(1, text0(name)), attr(2, be32(0)), attr(3, be32(target))))
}

// nftRule loads table, nat chain and one rule with the expression in question,
// as a batch: all of it or nothing. It stays in the child's net namespace and
// dies with it.
func nftRule(_ *stage, name string) Finding {
	table := "probe-" + name
	hook, chain := uint32(unix.NF_INET_POST_ROUTING), "post"
	if name == "fib" || name == "ct" {
		hook, chain = unix.NF_INET_PRE_ROUTING, "pre"
	}
	return askNetfilter("nfnetlink batch: table, nat chain, rule with "+name,
		verdict{absent: []unix.Errno{unix.ENOENT, unix.EOPNOTSUPP, unix.EINVAL}},
		message(unix.NFNL_MSG_BATCH_BEGIN, 0, nfgen(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)),
		message(nftType(unix.NFT_MSG_NEWTABLE), unix.NLM_F_CREATE|unix.NLM_F_ACK, nfgen(unix.AF_INET, 0),
			attr(unix.NFTA_TABLE_NAME, text0(table))),
		message(nftType(unix.NFT_MSG_NEWCHAIN), unix.NLM_F_CREATE|unix.NLM_F_ACK, nfgen(unix.AF_INET, 0),
			attr(unix.NFTA_CHAIN_TABLE, text0(table)), attr(unix.NFTA_CHAIN_NAME, text0(chain)),
			nest(unix.NFTA_CHAIN_HOOK, attr(unix.NFTA_HOOK_HOOKNUM, be32(hook)), attr(unix.NFTA_HOOK_PRIORITY, be32(100))),
			attr(unix.NFTA_CHAIN_TYPE, text0("nat"))),
		message(nftType(unix.NFT_MSG_NEWRULE), unix.NLM_F_CREATE|unix.NLM_F_APPEND|unix.NLM_F_ACK, nfgen(unix.AF_INET, 0),
			attr(unix.NFTA_RULE_TABLE, text0(table)), attr(unix.NFTA_RULE_CHAIN, text0(chain)),
			nest(unix.NFTA_RULE_EXPRESSIONS, expressions(name))),
		message(unix.NFNL_MSG_BATCH_END, 0, nfgen(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)),
	)
}

// expressions returns the rule's program. Expressions pass values on in
// registers; nat takes the new address out of one that immediate has filled.
func expressions(name string) []byte {
	reg := be32(unix.NFT_REG_1)
	switch name {
	case "ct": // ct state
		return expression("ct", attr(unix.NFTA_CT_DREG, reg), attr(unix.NFTA_CT_KEY, be32(unix.NFT_CT_STATE)))
	case "fib": // fib daddr type
		return expression("fib", attr(unix.NFTA_FIB_DREG, reg),
			attr(unix.NFTA_FIB_RESULT, be32(unix.NFT_FIB_RESULT_ADDRTYPE)), attr(unix.NFTA_FIB_FLAGS, be32(unix.NFTA_FIB_F_DADDR)))
	case "nat": // snat to 192.0.2.1
		value := nest(unix.NFTA_IMMEDIATE_DATA, attr(unix.NFTA_DATA_VALUE, []byte{192, 0, 2, 1}))
		return append(expression("immediate", attr(unix.NFTA_IMMEDIATE_DREG, reg), value),
			expression("nat", attr(unix.NFTA_NAT_TYPE, be32(unix.NFT_NAT_SNAT)),
				attr(unix.NFTA_NAT_FAMILY, be32(unix.AF_INET)), attr(unix.NFTA_NAT_REG_ADDR_MIN, reg))...)
	}
	return expression(name) // masq wants nothing
}

// expression is one step of a rule.
func expression(name string, data ...[]byte) []byte {
	return nest(unix.NFTA_LIST_ELEM, attr(unix.NFTA_EXPR_NAME, text0(name)), nest(unix.NFTA_EXPR_DATA, data...))
}
