package shim

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"cutaway/minicontainer"
	"cutaway/netdemo"
)

// joining puts the container on its networks while the runtime still makes it.
// The program's first instruction finds its address there.
type joining struct {
	*life
	pid  int
	done chan error
}

// begin is called when the container's network namespace is there. A sysctl of
// the container is for interfaces that come after it: those wait.
func (j *joining) begin(pid int) {
	j.pid, j.done = pid, make(chan error, 1)
	if len(j.c.HostConfig.Sysctls) == 0 {
		go func() { j.done <- j.engine.JoinNetworks(j.c, pid) }()
	}
}

// end waits for it, or does it now if it had to wait. Of two errors the runtime's
// counts: the network of a process that died cannot be joined.
func (j *joining) end(made error) error {
	early := j.done != nil && len(j.c.HostConfig.Sysctls) == 0
	var err error
	if early {
		err = <-j.done
	}
	switch {
	case made != nil:
		return fmt.Errorf("OCI runtime create failed: %w", made)
	case early:
		return err
	}
	return j.engine.JoinNetworks(j.c, j.pid)
}

// connect makes names of the addresses that the container got.
func (l *life) connect() error {
	mode, err := l.c.Mode()
	if err != nil {
		return err
	}
	if mode.Kind == netdemo.ModeNone {
		return l.loopback()
	}
	if len(l.c.NetworkSettings.Networks) == 0 {
		return nil
	}
	if err := l.writeHosts(); err != nil {
		return err
	}
	if l.named() {
		return l.serveNames()
	}
	return nil
}

// loopback: even a container without a network can talk to itself.
func (l *life) loopback() error {
	ns, err := netdemo.OpenPid(l.runtime.Pid)
	if err != nil {
		return err
	}
	defer ns.Close()
	return netdemo.SetUp(ns, "lo")
}

// serveNames answers the container's DNS queries from here.
func (l *life) serveNames() error {
	nets, err := l.engine.Networks()
	if err != nil {
		return err
	}
	if l.sandbox, err = netdemo.OpenPid(l.runtime.Pid); err != nil {
		return err
	}
	spec := netdemo.ResolverSpec{Links: map[string]string{}}
	for _, link := range l.c.HostConfig.Links {
		name, alias := minicontainer.SplitLink(link)
		spec.Links[alias] = name
	}
	if spec.Upstreams, err = l.upstreams(); err != nil {
		return err
	}
	l.names, err = nets.StartResolver(&netdemo.Sandbox{ID: l.id, NS: l.sandbox}, spec)
	return err
}

// rename writes the container's files anew, as it is on one more network, and
// begins to answer for names if that one is the first that has them.
func (s *shim) rename() error {
	_, err := s.engine.Change(s.id, func(c *minicontainer.Container) error {
		l := s.life
		if l == nil || !c.State.Running || c.State.Restarting {
			return nil
		}
		l.c = c
		if err := l.writeFiles(); err != nil {
			return err
		}
		if l.names != nil || !l.named() {
			return nil
		}
		return l.serveNames()
	})
	return err
}

func (l *life) upstreams() ([]netip.AddrPort, error) {
	if servers := l.c.HostConfig.DNS; len(servers) > 0 {
		return netdemo.ParseUpstreams(strings.NewReader("nameserver " + strings.Join(servers, "\nnameserver ") + "\n"))
	}
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return nil, nil // the host has none: unknown names do not exist
	}
	defer f.Close()
	return netdemo.ParseUpstreams(f)
}

// linkedAddresses are the entries that --link makes in /etc/hosts on the network
// "bridge", which has no names. What has ended since has no address.
func (l *life) linkedAddresses() map[string]netip.Addr {
	all := map[string]netip.Addr{}
	if l.named() {
		return all
	}
	for _, link := range l.c.HostConfig.Links {
		ref, alias := minicontainer.SplitLink(link)
		other, err := l.engine.Inspect(ref)
		if err != nil {
			continue
		}
		s := other.NetworkSettings.Networks["bridge"]
		if s == nil {
			continue
		}
		addr, err := netip.ParseAddr(s.IPAddress)
		if err != nil {
			continue
		}
		for _, name := range []string{alias, other.PlainName(), other.Config.Hostname} {
			all[name] = addr
		}
	}
	return all
}

// linkUp is for links on the network "bridge": what they lead to must run.
func (l *life) linkUp() error {
	if l.named() {
		return nil
	}
	return l.engine.NoteLinks(l.c)
}
