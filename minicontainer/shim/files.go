package shim

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"cutaway/netdemo"
)

// writeFiles writes what the container sees as /etc/hostname and
// /etc/resolv.conf. Written in place and never renamed: it is the file itself
// that is mounted, not its name.
func (l *life) writeFiles() error {
	mode, err := l.c.Mode()
	if err != nil {
		return err
	}
	if mode.Kind == netdemo.ModeContainer {
		return nil // the other's are mounted
	}
	if err := os.WriteFile(l.c.HostnamePath, []byte(l.c.Config.Hostname+"\n"), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(l.c.ResolvConfPath, []byte(l.resolvConf(mode)), 0o644); err != nil {
		return err
	}
	if mode.Kind == netdemo.ModeHost {
		return l.copyHosts()
	}
	return l.writeHosts()
}

// resolvConf: on a network that somebody made, names are answered by the shim;
// else by whom the host asks. The host's own loopback is not the container's, so
// a resolver there is of no use.
func (l *life) resolvConf(mode netdemo.Mode) string {
	h := &l.c.HostConfig
	if l.named() {
		text := netdemo.ResolvConf(h.DNSSearch)
		for _, o := range h.DNSOptions {
			text = strings.TrimSuffix(text, "\n") + " " + o + "\n"
		}
		return text
	}
	host, err := os.ReadFile("/etc/resolv.conf")
	if err != nil || mode.Kind == netdemo.ModeHost && len(h.DNS)+len(h.DNSSearch)+len(h.DNSOptions) == 0 {
		return string(host)
	}
	var b strings.Builder
	servers, search, options := h.DNS, h.DNSSearch, h.DNSOptions
	for line := range strings.Lines(string(host)) {
		f := strings.Fields(line)
		switch {
		case len(f) < 2:
		case f[0] == "nameserver" && len(h.DNS) == 0:
			if a, err := netip.ParseAddr(f[1]); err == nil && (!a.IsLoopback() || mode.Kind == netdemo.ModeHost) {
				servers = append(servers, f[1])
			}
		case f[0] == "search" && len(h.DNSSearch) == 0:
			search = f[1:]
		case f[0] == "options" && len(h.DNSOptions) == 0:
			options = f[1:]
		}
	}
	setting := func(key string, words []string) {
		if len(words) > 0 && !slices.Equal(words, []string{"."}) {
			fmt.Fprintf(&b, "%s %s\n", key, strings.Join(words, " "))
		}
	}
	setting("search", search) // Docker's order
	for _, s := range servers {
		setting("nameserver", []string{s})
	}
	setting("options", options)
	return b.String()
}

// named says whether the container is on a network that has names.
func (l *life) named() bool {
	for name := range l.c.NetworkSettings.Networks {
		if name != "bridge" {
			return true
		}
	}
	return false
}

func (l *life) copyHosts() error {
	text, err := os.ReadFile("/etc/hosts")
	if err != nil {
		text = []byte(netdemo.HostsFile(l.c.Config.Hostname, netip.Addr{}, nil))
	}
	return os.WriteFile(l.c.HostsPath, append(text, l.extraHosts()...), 0o644)
}

// writeHosts writes /etc/hosts: once before the container exists, for it is
// mounted, and again when its addresses are known.
func (l *life) writeHosts() error {
	var own netip.Addr
	text := ""
	for _, s := range l.c.NetworkSettings.Networks {
		addr, err := netip.ParseAddr(s.IPAddress)
		if err != nil {
			continue
		}
		if own.IsValid() {
			text += fmt.Sprintf("%s\t%s\n", addr, l.c.Config.Hostname)
			continue
		}
		own = addr
	}
	name := l.c.Config.Hostname
	if l.c.Config.Domainname != "" {
		name += "." + l.c.Config.Domainname + " " + l.c.Config.Hostname
	}
	text = netdemo.HostsFile(name, own, l.linkedAddresses()) + text + string(l.extraHosts())
	return os.WriteFile(l.c.HostsPath, []byte(text), 0o644)
}

// extraHosts are the lines of --add-host.
func (l *life) extraHosts() []byte {
	var b strings.Builder
	for _, entry := range l.c.HostConfig.ExtraHosts {
		name, addr, _ := strings.Cut(entry, ":")
		if addr == "host-gateway" {
			for _, s := range l.c.NetworkSettings.Networks {
				addr = s.Gateway
			}
		}
		fmt.Fprintf(&b, "%s\t%s\n", addr, name)
	}
	return []byte(b.String())
}
