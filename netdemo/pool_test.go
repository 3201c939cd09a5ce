package netdemo

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

func openPool(t *testing.T, root, subnet string) *Pool {
	t.Helper()
	p, err := OpenPool(root, netip.MustParsePrefix(subnet))
	must(t, err)
	return p
}

func TestPoolGoesRound(t *testing.T) {
	root := t.TempDir()
	p := openPool(t, root, "10.0.0.0/29") // .1 to .6
	var got []string
	for range 6 {
		a, err := p.Request("x", netip.Addr{})
		must(t, err)
		got = append(got, a.String())
	}
	if want := "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6"; strings.Join(got, " ") != want {
		t.Errorf("addresses %v; want %s", got, want)
	}
	if _, err := p.Request("x", netip.Addr{}); !errors.Is(err, ErrPoolExhausted) {
		t.Errorf("Request on a full pool = %v; want ErrPoolExhausted", err)
	}
	must(t, p.Release(netip.MustParseAddr("10.0.0.2")))
	must(t, p.Release(netip.MustParseAddr("10.0.0.5")))
	// Opened again, as after a restart: the search goes on where it was.
	for _, want := range []string{"10.0.0.2", "10.0.0.5"} {
		if a, err := openPool(t, root, "10.0.0.0/29").Request("y", netip.Addr{}); err != nil || a.String() != want {
			t.Errorf("Request = %v, %v; want %s", a, err, want)
		}
	}
}

func TestPoolReleasedIsUsedLast(t *testing.T) {
	p := openPool(t, t.TempDir(), "10.0.0.0/24")
	first, err := p.Request("x", netip.Addr{})
	must(t, err)
	must(t, p.Release(first))
	if second, _ := p.Request("x", netip.Addr{}); second == first {
		t.Errorf("%s was handed out again at once", first)
	}
}

func TestPoolAsked(t *testing.T) {
	p := openPool(t, t.TempDir(), "10.0.0.0/24")
	asked := netip.MustParseAddr("10.0.0.9")
	_, err := p.Request("web", asked)
	must(t, err)
	if _, err := p.Request("db", asked); !errors.Is(err, ErrAddressInUse) || !strings.Contains(err.Error(), "web") {
		t.Errorf("Request(%s) = %v; want ErrAddressInUse naming web", asked, err)
	}
	for _, bad := range []string{"10.0.1.1", "10.0.0.0", "10.0.0.255"} {
		if _, err := p.Request("db", netip.MustParseAddr(bad)); !errors.Is(err, ErrInvalid) {
			t.Errorf("Request(%s) = %v; want ErrInvalid", bad, err)
		}
	}
}

func TestPoolRange(t *testing.T) {
	p := openPool(t, t.TempDir(), "10.0.0.0/16")
	p.Range = netip.MustParsePrefix("10.0.5.0/30")
	for _, want := range []string{"10.0.5.0", "10.0.5.1", "10.0.5.2", "10.0.5.3"} {
		if a, err := p.Request("x", netip.Addr{}); err != nil || a.String() != want {
			t.Errorf("Request = %v, %v; want %s", a, err, want)
		}
	}
}

// TestPoolTogether: many takers at once, each with its own handle, as separate processes have.
func TestPoolTogether(t *testing.T) {
	root := t.TempDir()
	var mu sync.Mutex
	taken := map[netip.Addr]bool{}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			p, err := OpenPool(root, netip.MustParsePrefix("fd00::/64"))
			for range 10 {
				a, reqErr := p.Request(fmt.Sprint(i), netip.Addr{})
				mu.Lock()
				if err != nil || reqErr != nil || taken[a] {
					t.Errorf("%s twice, or %v, %v", a, err, reqErr)
				}
				taken[a] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

func TestFreeSubnet(t *testing.T) {
	taken := []netip.Prefix{netip.MustParsePrefix("172.17.0.0/16"), netip.MustParsePrefix("172.18.4.0/24")}
	if got, err := FreeSubnet(taken); err != nil || got.String() != "172.19.0.0/16" {
		t.Errorf("FreeSubnet = %v, %v; want 172.19.0.0/16", got, err)
	}
	if _, err := FreeSubnet([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}); !errors.Is(err, ErrPoolExhausted) {
		t.Errorf("FreeSubnet = %v; want ErrPoolExhausted", err)
	}
}

func TestMACFor(t *testing.T) {
	if got := MACFor(netip.MustParseAddr("172.17.0.2")).String(); got != "02:42:ac:11:00:02" {
		t.Errorf("MACFor = %s", got)
	}
}
