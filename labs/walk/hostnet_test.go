package walk

import (
	"runtime"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/internal/netdump"
)

// Links and rules go, lo stays. The goroutine's thread is never unlocked, so it ends with the
// namespace that it was put into.
func TestEmptyHostNet(t *testing.T) {
	needs.Root(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	before, err := netdump.Whole(netlink.LinkList)
	if err != nil {
		t.Fatal(err)
	}
	add(t, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br-left"}})
	add(t, &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "left"}, PeerName: "right"})
	rules, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	rules.AddTable(&nftables.Table{Name: "left", Family: nftables.TableFamilyIPv4})
	if err := rules.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := emptyHostNet(); err != nil {
		t.Fatal(err)
	}
	after, err := netdump.Whole(netlink.LinkList)
	if err != nil || len(after) != len(before) {
		t.Errorf("%d links, %v; want the %d from before", len(after), err, len(before))
	}
	if tables, err := rules.ListTables(); err != nil || len(tables) != 0 {
		t.Errorf("%d tables, %v; want none", len(tables), err)
	}
}

func add(t *testing.T, l netlink.Link) {
	t.Helper()
	if err := netlink.LinkAdd(l); err != nil {
		t.Fatal(err)
	}
}
