package netdemo

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// ParseUpstreams reads the nameserver lines of a resolv.conf(5): the resolvers of the host.
func ParseUpstreams(r io.Reader) ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		// A line that is no address is passed over, as the C library does.
		if a, err := netip.ParseAddr(f[1]); err == nil {
			all = append(all, netip.AddrPortFrom(a, 53))
		}
	}
	return all, lines.Err()
}

// ResolvConf is a container's /etc/resolv.conf. ndots:0 has even a name without a dot looked up as it
// is, before any search domain is tried.
func ResolvConf(search []string) string {
	text := "nameserver " + ResolverAddress + "\n"
	if len(search) > 0 {
		text += "search " + strings.Join(search, " ") + "\n"
	}
	return text + "options ndots:0\n"
}

// HostsFile is a container's /etc/hosts: loopback, itself, and --link's entries, which is how links
// worked before there was a resolver. extra maps a name to its address.
func HostsFile(hostname string, own netip.Addr, extra map[string]netip.Addr) string {
	var b strings.Builder
	b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	b.WriteString("fe00::0\tip6-localnet\nff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n")
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		fmt.Fprintf(&b, "%s\t%s\n", extra[name], name)
	}
	if own.IsValid() {
		fmt.Fprintf(&b, "%s\t%s\n", own, hostname)
	}
	return b.String()
}
