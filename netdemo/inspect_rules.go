package netdemo

import (
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Rule is one nf_tables rule as the kernel has it now.
type Rule struct {
	Family  string // "ip", "ip6", "inet", "bridge", "arp", "netdev"
	Table   string
	Chain   string
	Hook    string // "forward" and so on for a chain on a hook, with Type and Priority; else ""
	Type    string // "nat", "filter", "route"
	Policy  string // "accept" or "drop", for a chain on a hook
	Prio    int
	Handle  uint64
	Text    string // in nft(8)'s words, with its counter
	Packets uint64 // what the rule's counter has seen; 0 without a counter
	Bytes   uint64
	Comment string
	exprs   []expr.Any
}

// Chain is one nf_tables chain with its rules, in order.
type Chain struct {
	Family, Table, Name string
	Hook, Type, Policy  string // of a chain on a hook; else ""
	Prio                int
	Rules               []Rule
}

var (
	familyNames = map[nftables.TableFamily]string{nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6",
		nftables.TableFamilyINet: "inet", nftables.TableFamilyBridge: "bridge", nftables.TableFamilyARP: "arp", nftables.TableFamilyNetdev: "netdev"}
	hookNames = []string{"prerouting", "input", "forward", "output", "postrouting"}
)

func familyNamed(name string) nftables.TableFamily {
	for f, n := range familyNames {
		if n == name {
			return f
		}
	}
	return nftables.TableFamilyUnspecified
}

// Chains reads every nf_tables chain in ns with its rules: NFT_MSG_GETCHAIN, NFT_MSG_GETRULE. Rules
// that the iptables-nft program made are among them; those of legacy iptables are not.
func Chains(ns *Namespace) ([]Chain, error) {
	c, err := dialNFT(ns)
	if err != nil {
		return nil, err
	}
	list, err := c.ListChains()
	if err != nil {
		return nil, wrap("list chains", ns.path, err)
	}
	var chains []Chain
	for _, ch := range list {
		chain := chainHead(ch)
		rules, err := c.GetRules(ch.Table, ch)
		if err != nil {
			return nil, wrap("list rules", ch.Name, err)
		}
		for _, r := range rules {
			chain.Rules = append(chain.Rules, readRule(chain, ch.Table.Family, r))
		}
		chains = append(chains, chain)
	}
	return chains, nil
}

// Rules reads every nf_tables rule in ns, in the order of Chains.
func Rules(ns *Namespace) ([]Rule, error) {
	chains, err := Chains(ns)
	var rules []Rule
	for _, c := range chains {
		rules = append(rules, c.Rules...)
	}
	return rules, err
}

func chainHead(ch *nftables.Chain) Chain {
	out := Chain{Family: familyNames[ch.Table.Family], Table: ch.Table.Name, Name: ch.Name, Type: string(ch.Type)}
	if ch.Hooknum == nil {
		return out
	}
	out.Policy = "accept"
	if ch.Policy != nil && *ch.Policy == nftables.ChainPolicyDrop {
		out.Policy = "drop"
	}
	if n := int(*ch.Hooknum); n < len(hookNames) {
		out.Hook = hookNames[n]
	}
	if ch.Priority != nil {
		out.Prio = int(*ch.Priority)
	}
	return out
}

func readRule(c Chain, family nftables.TableFamily, r *nftables.Rule) Rule {
	out := Rule{Family: c.Family, Table: c.Table, Chain: c.Name, Hook: c.Hook, Type: c.Type, Policy: c.Policy, Prio: c.Prio,
		Handle: r.Handle, Text: ruleText(family, r.Exprs), Comment: comment(r), exprs: r.Exprs}
	for _, e := range r.Exprs {
		if counter, ok := e.(*expr.Counter); ok {
			out.Packets, out.Bytes = counter.Packets, counter.Bytes
		}
	}
	if out.Comment != "" {
		out.Text += fmt.Sprintf(" comment %q", out.Comment)
	}
	return out
}

// RulesetText writes chains as "nft list ruleset" does.
func RulesetText(chains []Chain) string {
	var b strings.Builder
	for i, c := range chains {
		if i == 0 || chains[i-1].Family != c.Family || chains[i-1].Table != c.Table {
			if i > 0 {
				b.WriteString("}\n")
			}
			fmt.Fprintf(&b, "table %s %s {\n", c.Family, c.Table)
		} else {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "\tchain %s {\n", c.Name)
		if c.Hook != "" {
			fmt.Fprintf(&b, "\t\ttype %s hook %s priority %s; policy %s;\n", c.Type, c.Hook, priorityName(c.Hook, c.Prio), c.Policy)
		}
		for _, r := range c.Rules {
			fmt.Fprintf(&b, "\t\t%s\n", r.Text)
		}
		b.WriteString("\t}\n")
	}
	if len(chains) > 0 {
		b.WriteString("}\n")
	}
	return b.String()
}

// priorityName gives the words of nft(8) for the usual numbers.
func priorityName(hook string, prio int) string {
	switch {
	case prio == 0:
		return "filter"
	case prio == -100 && hook != "postrouting":
		// nft knows the word only where DNAT is usual; at output it writes the number.
		if hook == "output" {
			return "-100"
		}
		return "dstnat"
	case prio == 100 && hook == "postrouting":
		return "srcnat"
	}
	return fmt.Sprint(prio)
}
