package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cutaway/minicontainer"
	"cutaway/minicontainer/bundle"
	"cutaway/netdemo"
	"cutaway/volumedemo"
)

// options turns what was typed into what a container is made from. changed says
// whether a flag was given at all: "" may be meant.
func (f *runFlags) options(args []string, changed func(string) bool) (o minicontainer.Options, err error) {
	if f.pull != pullAlways && f.pull != pullMissing && f.pull != pullNever {
		return o, fmt.Errorf("invalid pull option: '%s': must be one of \"%s\", \"%s\" or \"%s\"", f.pull, pullAlways, pullMissing, pullNever)
	}
	o.Name, o.StartsNext = f.name, f.startsNext
	c := &o.Config
	c.Image, c.Cmd = args[0], args[1:]
	c.Hostname, c.Domainname, c.User, c.WorkingDir = f.hostname, f.domainname, f.user, f.workdir
	c.Tty, c.OpenStdin, c.StdinOnce = f.tty, f.interactive, f.interactive && !f.detach
	c.AttachStdin, c.AttachStdout, c.AttachStderr = f.interactive && !f.detach, !f.detach, !f.detach
	c.StopSignal, c.MacAddress = f.stopSignal, f.mac
	if changed("stop-timeout") {
		c.StopTimeout = &f.stopTimeout
	}
	if changed("entrypoint") {
		c.Entrypoint = []string{f.entrypoint} // [""] takes the image's away
	}
	if c.Env, err = environment(f.envFile, f.env); err != nil {
		return o, err
	}
	if c.Labels, err = labels(f.labelFile, f.label); err != nil {
		return o, err
	}
	if c.StopSignal != "" {
		if _, err := minicontainer.ParseSignal(c.StopSignal); err != nil {
			return o, err
		}
	}
	for _, step := range []func(*minicontainer.Options) error{f.hostPart, f.limits, f.ports, f.networks, f.mounts, f.devices} {
		if err := step(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// environment reads files of NAME=VALUE lines, then the ones given. A NAME alone
// takes its value from here, or is left out where there is none.
func environment(files, given []string) ([]string, error) {
	all, err := readPairs(files)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, entry := range append(all, given...) {
		name, _, found := strings.Cut(entry, "=")
		if name == "" {
			return nil, fmt.Errorf("invalid environment variable: %s", entry)
		}
		if !found {
			value, there := os.LookupEnv(name)
			if !there {
				continue
			}
			entry = name + "=" + value
		}
		out = append(out, entry)
	}
	return out, nil
}

// labels reads files of NAME=VALUE lines, of which a NAME alone is left out, and
// then the ones given, of which it is a label without a value.
func labels(files, given []string) (map[string]string, error) {
	all, err := readPairs(files)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(line string) bool { return !strings.Contains(line, "=") })
	return pairs(append(all, given...)), nil
}

// readPairs reads the lines of files; a name has no white space in it.
func readPairs(files []string) ([]string, error) {
	var all []string
	for _, file := range files {
		lines, err := readLines(file)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			if name, _, _ := strings.Cut(line, "="); name == "" || strings.ContainsAny(name, " \t") {
				return nil, fmt.Errorf("%s: line %q: NAME=VALUE is wanted, NAME without white space", file, line)
			}
		}
		all = append(all, lines...)
	}
	return all, nil
}

func readLines(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var lines []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		line := strings.TrimLeft(s.Text(), " \t")
		if line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines, s.Err()
}

func pairs(list []string) map[string]string {
	all := map[string]string{}
	for _, entry := range list {
		name, value, _ := strings.Cut(entry, "=")
		all[name] = value
	}
	return all
}

func (f *runFlags) hostPart(o *minicontainer.Options) error {
	h := &o.Host
	if f.rm && f.restart != "" && f.restart != "no" {
		return errors.New("conflicting options: cannot specify both --restart and --rm")
	}
	h.AutoRemove, h.Privileged, h.ReadonlyRootfs = f.rm, f.privileged, f.readOnly
	if f.init {
		h.Init = &f.init
	}
	h.CapAdd, h.CapDrop, h.GroupAdd = f.capAdd, f.capDrop, f.groupAdd
	h.SecurityOpt = f.securityOpt
	h.IpcMode, h.PidMode, h.UTSMode, h.UsernsMode, h.CgroupnsMode = f.ipc, f.pid, f.uts, f.userns, f.cgroupns
	h.Sysctls, h.StorageOpt = pairs(f.sysctl), pairs(f.storageOpt)
	h.OomScoreAdj, h.CgroupParent = f.oomScoreAdj, f.cgroupParent
	h.LogConfig = minicontainer.LogConfig{Type: f.logDriver, Config: pairs(f.logOpt)}
	h.ContainerIDFile = f.cidfile
	if f.hostname != "" && f.uts == "host" {
		return fmt.Errorf("conflicting options: hostname and the UTS mode")
	}
	if err := bundle.CheckCapabilities(f.capAdd, f.capDrop); err != nil {
		return err
	}
	if _, err := bundle.ParseIDs(f.userns); err != nil {
		return err
	}
	if err := bundle.ReadProfiles(h.SecurityOpt); err != nil {
		return err
	}
	return parseRestart(f.restart, &h.RestartPolicy)
}

// parseRestart reads no, always, unless-stopped or on-failure[:N].
func parseRestart(text string, p *minicontainer.RestartPolicy) error {
	name, count, found := strings.Cut(text, ":")
	p.Name = name
	if !found {
		return nil
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		return fmt.Errorf("maximum retry count must be an integer")
	}
	p.MaximumRetryCount = n
	return nil
}

func (f *runFlags) networks(o *minicontainer.Options) error {
	h := &o.Host
	h.NetworkMode = f.network
	h.Links, h.DNS, h.DNSSearch, h.DNSOptions = f.link, f.dns, f.dnsSearch, f.dnsOption
	var err error
	if h.ExtraHosts, err = extraHosts(f.addHost); err != nil {
		return err
	}
	mode := f.network
	if mode == "default" {
		mode = "bridge"
	}
	parsed, err := netdemo.ParseMode(mode)
	if err != nil {
		return err
	}
	if parsed.Kind != netdemo.ModeBridge {
		if f.hostname != "" && parsed.Kind == netdemo.ModeContainer {
			return fmt.Errorf("conflicting options: hostname and the network mode")
		}
		if len(f.publish) > 0 && parsed.Kind == netdemo.ModeContainer {
			return fmt.Errorf("conflicting options: port publishing and the container type network mode")
		}
		return nil
	}
	if len(f.alias) > 0 && mode == "bridge" {
		return fmt.Errorf("network-scoped alias is supported only for containers in user defined networks")
	}
	if len(f.alias) > 0 || f.ip != "" {
		o.Networks = map[string]minicontainer.EndpointSettings{mode: {Aliases: f.alias, IPAddress: f.ip}}
	}
	return nil
}

// extraHosts reads NAME:ADDRESS or NAME=ADDRESS, of which the second suits IPv6.
func extraHosts(given []string) ([]string, error) {
	var all []string
	for _, entry := range given {
		name, addr, found := strings.Cut(entry, "=")
		if !found {
			name, addr, found = strings.Cut(entry, ":")
		}
		addr = strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]")
		if !found || name == "" {
			return nil, fmt.Errorf("bad format for add-host: %q", entry)
		}
		if _, err := netip.ParseAddr(addr); err != nil && addr != "host-gateway" {
			return nil, fmt.Errorf("invalid IP address in add-host: %q", addr)
		}
		all = append(all, name+":"+addr)
	}
	return all, nil
}

func (f *runFlags) mounts(o *minicontainer.Options) error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	h := &o.Host
	h.VolumesFrom = f.volumesFrom
	for _, text := range f.volume {
		// A path that begins with a dot is meant from here; all else is the engine's to read.
		if source, rest, found := strings.Cut(text, ":"); found && strings.HasPrefix(source, ".") {
			text = filepath.Join(here, source) + ":" + rest
		}
		if !strings.Contains(text, ":") { // no source: an anonymous volume, as an image's VOLUME
			if _, err := volumedemo.ParseVolume(text, here); err != nil {
				return err
			}
			if o.Config.Volumes == nil {
				o.Config.Volumes = map[string]struct{}{}
			}
			o.Config.Volumes[text] = struct{}{}
			continue
		}
		h.Binds = append(h.Binds, text)
	}
	for _, text := range f.mount {
		s, err := volumedemo.ParseMount(text, here)
		if err != nil {
			return err
		}
		h.Mounts = append(h.Mounts, s)
	}
	for _, text := range f.tmpfs {
		if h.Tmpfs == nil {
			h.Tmpfs = map[string]string{}
		}
		path, options, _ := strings.Cut(text, ":")
		h.Tmpfs[path] = options
	}
	return nil
}
