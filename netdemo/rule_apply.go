package netdemo

import (
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
)

func dialNFT(ns *Namespace) (*nftables.Conn, error) {
	c, err := nftables.New(nftables.WithNetNSFd(ns.Fd()))
	return c, wrap("open nf_tables socket", ns.path, err)
}

func tableIn(family nftables.TableFamily, name string) *nftables.Table {
	return &nftables.Table{Family: family, Name: name}
}

// ensureFrame makes the table and its chains unless they are there. One batch: the kernel takes all
// of it or nothing, so there is never a chain without the rule that leads to it.
func ensureFrame(host *Namespace, family nftables.TableFamily) error {
	c, err := dialNFT(host)
	if err != nil {
		return err
	}
	if _, err := c.ListTableOfFamily(TableName, family); err == nil {
		return nil
	}
	table := c.AddTable(tableIn(family, TableName))
	for _, ch := range hostChains() {
		c.AddChain(&nftables.Chain{Table: table, Name: ch.name, Type: ch.kind, Hooknum: ch.hook, Priority: ch.priority})
	}
	queueRules(c, TableName, frameRules(family))
	return wrap("apply rules", "table "+TableName, c.Flush())
}

// addRules appends rules to their chains in one batch: NFT_MSG_NEWRULE.
func addRules(host *Namespace, rules []plannedRule) error {
	if len(rules) == 0 {
		return nil
	}
	c, err := dialNFT(host)
	if err != nil {
		return err
	}
	queueRules(c, TableName, rules)
	return wrap("apply rules", rules[0].owner, c.Flush())
}

func queueRules(c *nftables.Conn, table string, rules []plannedRule) {
	for _, r := range rules {
		t := tableIn(r.family, table)
		c.AddRule(&nftables.Rule{Table: t, Chain: &nftables.Chain{Name: r.chain, Table: t}, Exprs: r.exprs,
			UserData: userdata.AppendString(nil, userdata.TypeComment, r.owner)})
	}
}

// deleteRules removes every rule of the owner: NFT_MSG_DELRULE by handle, one batch per family.
func deleteRules(host *Namespace, owner string) error {
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6} {
		if err := deleteFamilyRules(host, family, owner); err != nil {
			return err
		}
	}
	return nil
}

func deleteFamilyRules(host *Namespace, family nftables.TableFamily, owner string) error {
	c, err := dialNFT(host)
	if err != nil {
		return err
	}
	if _, err := c.ListTableOfFamily(TableName, family); err != nil {
		return nil // no table, so no rule of ours
	}
	for _, ch := range hostChains() {
		t := tableIn(family, TableName)
		rules, err := c.GetRules(t, &nftables.Chain{Name: ch.name, Table: t})
		if err != nil {
			return wrap("list rules", ch.name, err)
		}
		for _, r := range rules {
			if comment(r) == owner {
				c.DelRule(r)
			}
		}
	}
	return wrap("delete rules", owner, c.Flush())
}

// deleteFrame removes the tables, if no network has a rule in them any more.
func deleteFrame(host *Namespace) error {
	rules, err := Rules(host)
	if err != nil {
		return err
	}
	left := map[string]bool{}
	for _, r := range rules {
		if r.Table == TableName {
			left[r.Family] = left[r.Family] || r.Comment != frameOwner
		}
	}
	c, err := dialNFT(host)
	if err != nil {
		return err
	}
	for family, busy := range left {
		if !busy {
			c.DelTable(tableIn(familyNamed(family), TableName))
		}
	}
	return wrap("delete table", TableName, c.Flush())
}

func comment(r *nftables.Rule) string {
	s, _ := userdata.GetString(r.UserData, userdata.TypeComment)
	return strings.TrimRight(s, "\x00")
}
