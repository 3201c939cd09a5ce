package bundle

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/minicontainer"
)

// Facts are what only the machine can tell.
type Facts struct {
	Rootfs  string     // the mounted root
	User    specs.User // as the image's /etc/passwd has Config.User
	Cgroup  string     // group for the container, from the top
	Unified bool       // cgroup version 2 only
	Init    string     // this program, for --init
	Shm     string     // folder on the host to be /dev/shm; "" for a new tmpfs

	// Pids of containers whose namespaces are joined.
	NetworkOf, IPCOf, PidOf int

	HostDevices []specs.LinuxDevice // all there are, for --privileged
	Devices     []specs.LinuxDevice // for --device
	IDs         []specs.LinuxIDMapping
	Kernel      map[string]bool     // capabilities that this process has itself; nil is all
	Throttled   map[string][2]int64 // path of a block device: major, minor
}

// Make writes the spec of a container.
func Make(c *minicontainer.Container, f Facts) (*specs.Spec, error) {
	h := &c.HostConfig
	security, err := parseSecurity(h)
	if err != nil {
		return nil, err
	}
	process, err := makeProcess(c, f, security)
	if err != nil {
		return nil, err
	}
	resources, err := makeResources(h, f)
	if err != nil {
		return nil, err
	}
	s := &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: f.Rootfs, Readonly: h.ReadonlyRootfs},
		Process: process,
		Mounts:  makeMounts(c, f),
		Linux: &specs.Linux{
			Namespaces:    namespaces(c, f),
			CgroupsPath:   f.Cgroup,
			Resources:     resources,
			Devices:       f.Devices,
			Sysctl:        sysctls(c),
			MaskedPaths:   security.masked,
			ReadonlyPaths: security.readonly,
			UIDMappings:   f.IDs,
			GIDMappings:   f.IDs,
		},
	}
	if h.Privileged {
		s.Linux.Devices = f.HostDevices
	}
	if h.UTSMode != "host" {
		s.Hostname, s.Domainname = c.Config.Hostname, c.Config.Domainname
	}
	if !h.Privileged {
		s.Linux.Seccomp, err = security.filter(process.Capabilities.Bounding)
	}
	s.Linux.RootfsPropagation = propagation(c)
	return s, err
}

// propagation of the root has to let through what a volume's must: a mount
// below it cannot hear of more than its parent's tree does.
func propagation(c *minicontainer.Container) string {
	result := ""
	for _, p := range c.MountPoints {
		switch p.Propagation {
		case "shared", "rshared":
			return "rshared"
		case "slave", "rslave":
			result = "rslave"
		}
	}
	return result
}

// sysctls are Docker's own two, which let a user without privileges ping and
// listen on port 80 in a network of its own, and those asked for.
func sysctls(c *minicontainer.Container) map[string]string {
	all := map[string]string{}
	mode, err := c.Mode()
	if err == nil && mode.Kind != "host" && mode.Kind != "container" && c.HostConfig.UsernsMode == "" {
		all["net.ipv4.ip_unprivileged_port_start"] = "0"
		all["net.ipv4.ping_group_range"] = "0 2147483647"
	}
	for name, value := range c.HostConfig.Sysctls {
		all[name] = value
	}
	return all
}
