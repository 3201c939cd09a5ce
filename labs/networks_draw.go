package labs

import (
	"context"
	"net/netip"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/netdemo"
)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// drawNetworks draws the net namespaces of the named containers as the kernel has
// them. Those that are one and the same, by their inode, are one box.
func drawNetworks(names ...string) func(context.Context, *bench.Bench) (evidence.Drawing, error) {
	return func(_ context.Context, b *bench.Bench) (evidence.Drawing, error) {
		var t netdemo.Topology
		err := inNets(b, func(open nets) error {
			named, err := oneEach(open, names)
			if err != nil {
				return err
			}
			t, err = netdemo.ReadTopology(named...)
			return err
		}, names...)
		lines := func(ascii bool) []string {
			text := netdemo.RenderTopology(t, netdemo.Drawing{ASCII: ascii, Width: 76})
			return strings.Split(strings.TrimRight(text, "\n"), "\n")
		}
		return evidence.Drawing{
			Title: "how it hangs together", From: "ip -d link, ip address, bridge link: in every net namespace",
			Lines: lines(false), Plain: lines(true),
		}, err
	}
}

// oneEach lists each namespace once, under all its names.
func oneEach(open nets, names []string) ([]netdemo.Named, error) {
	var named []netdemo.Named
	at := map[uint64]int{}
	for _, name := range names {
		inode, err := open[name].Inode()
		if err != nil {
			return nil, err
		}
		if i, seen := at[inode]; seen {
			named[i].Name += " and " + name
			continue
		}
		at[inode] = len(named)
		named = append(named, netdemo.Named{Name: name, NS: open[name]})
	}
	return named, nil
}
