package bundle

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/minicontainer"
	"cutaway/volumedemo"
)

const defaultShm = 64 << 20

// makeMounts lists what is mounted over the root, in order: the kernel's file
// systems, then the files that the host writes for the container, then what was
// asked for, which may hide any of those.
func makeMounts(c *minicontainer.Container, f Facts) []specs.Mount {
	mounts := kernelMounts(c, f)
	for _, file := range []struct{ source, target string }{
		{c.ResolvConfPath, "/etc/resolv.conf"}, {c.HostnamePath, "/etc/hostname"}, {c.HostsPath, "/etc/hosts"},
	} {
		if !asked(c, file.target) {
			mounts = append(mounts, bind(file.source, file.target))
		}
	}
	if f.Init != "" {
		mounts = append(mounts, bind(f.Init, InitPath, "ro"))
	}
	// One that was asked for in the place of a default takes that place alone.
	mounts = slices.DeleteFunc(mounts, func(m specs.Mount) bool { return asked(c, m.Destination) })
	return append(mounts, volumedemo.Mounts(c.MountPoints)...)
}

func asked(c *minicontainer.Container, target string) bool {
	return slices.ContainsFunc(c.MountPoints, func(p minicontainer.MountPoint) bool { return p.Destination == target })
}

func bind(source, target string, more ...string) specs.Mount {
	return specs.Mount{Destination: target, Type: "bind", Source: source, Options: append([]string{"rbind", "rprivate"}, more...)}
}

func kernelMounts(c *minicontainer.Container, f Facts) []specs.Mount {
	h := &c.HostConfig
	access := "ro"
	if h.Privileged {
		access = "rw"
	}
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: devptsOptions(f)},
		sysMount(c, f, access),
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{access, "nosuid", "noexec", "nodev"}},
	}
	if h.IpcMode == "host" {
		mounts = append(mounts, bind("/dev/mqueue", "/dev/mqueue"), bind("/dev/shm", "/dev/shm"))
		return mounts
	}
	mounts = append(mounts, specs.Mount{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}})
	if f.Shm != "" {
		return append(mounts, bind(f.Shm, "/dev/shm"))
	}
	return append(mounts, ShmMount("/dev/shm", h.ShmSize))
}

// ShmMount is a container's shared memory.
func ShmMount(target string, size int64) specs.Mount {
	if size == 0 {
		size = defaultShm
	}
	return specs.Mount{Destination: target, Type: "tmpfs", Source: "shm",
		Options: []string{"nosuid", "noexec", "nodev", "mode=1777", fmt.Sprintf("size=%d", size)}}
}

// devptsOptions: terminals belong to group 5, tty, if the container has one.
func devptsOptions(f Facts) []string {
	options := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
	if len(f.IDs) > 0 && (f.IDs[0].ContainerID > 5 || f.IDs[0].Size <= 5) {
		return options
	}
	return append(options, "gid=5")
}

// sysMount: a sysfs shows a network namespace, and can only be mounted by who
// owns that one. In a user namespace with the host's network the host's own is
// shown instead.
func sysMount(c *minicontainer.Container, f Facts, access string) specs.Mount {
	if mode, err := c.Mode(); err == nil && mode.Kind == "host" && len(f.IDs) > 0 {
		return bind("/sys", "/sys", "ro", "nosuid", "noexec", "nodev")
	}
	return specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", access}}
}
