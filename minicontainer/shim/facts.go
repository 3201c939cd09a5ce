package shim

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo"
	"cutaway/minicontainer"
	"cutaway/minicontainer/bundle"
	"cutaway/minicontainer/oci"
	"cutaway/nsdemo"
)

// facts looks up what the bundle needs to know of the machine.
func (l *life) facts() (f bundle.Facts, err error) {
	h := &l.c.HostConfig
	f.Rootfs, f.Cgroup = l.root.Path, l.engine.Cgroup(l.c)
	if f.User, err = bundle.LookupUser(f.Rootfs, l.c.Config.User, h.GroupAdd); err != nil {
		return f, err
	}
	if f.IDs, err = bundle.ParseIDs(h.UsernsMode); err != nil {
		return f, err
	}
	if len(f.IDs) > 0 {
		if err := shiftOwners(f.Rootfs, f.IDs[0]); err != nil {
			return f, err
		}
	}
	if f.Unified, err = unified(l.engine.Runtime); err != nil {
		return f, err
	}
	if h.Init != nil && *h.Init {
		if f.Init, err = os.Executable(); err != nil {
			return f, err
		}
	}
	if f.Devices, err = bundle.FindDevices(h.Devices); err != nil {
		return f, err
	}
	if f.Kernel, err = rights(); err != nil {
		return f, err
	}
	if h.Privileged {
		if f.HostDevices, err = bundle.HostDevices(); err != nil {
			return f, err
		}
	}
	if f.Throttled, err = bundle.Throttled(&h.Resources); err != nil {
		return f, err
	}
	return f, l.neighbours(&f)
}

// rights are the capabilities that this process has, and so can give.
func rights() (map[string]bool, error) {
	st, err := nsdemo.ReadStatus("/proc", os.Getpid())
	have := map[string]bool{}
	for _, name := range nsdemo.CapabilityNames(st.CapPrm) {
		have[name] = true
	}
	return have, err
}

func unified(r *oci.Runtime) (bool, error) {
	hs, err := r.Hierarchies()
	if err != nil {
		return false, err
	}
	for _, h := range hs.List {
		if h.Version == cgroupdemo.V1 {
			return false, nil
		}
	}
	return true, nil
}

// neighbours finds the containers whose namespaces this one joins. They must
// run: a namespace without a process is gone.
func (l *life) neighbours(f *bundle.Facts) error {
	h := &l.c.HostConfig
	for _, n := range []struct {
		mode, what string
		pid        *int
	}{{h.NetworkMode, "network", &f.NetworkOf}, {h.IpcMode, "IPC", &f.IPCOf}, {h.PidMode, "PID", &f.PidOf}} {
		id, is := strings.CutPrefix(n.mode, "container:")
		if !is {
			continue
		}
		other, err := l.engine.Inspect(id)
		if err != nil {
			return err
		}
		if !other.State.Running || other.State.Pid == 0 {
			return fmt.Errorf("cannot join %s of a non running container: %s", n.what, other.ID)
		}
		*n.pid = other.State.Pid
		if n.what == "network" {
			// One network, one identity: the files are the other's too.
			l.c.HostnamePath, l.c.HostsPath, l.c.ResolvConfPath = other.HostnamePath, other.HostsPath, other.ResolvConfPath
		}
		if n.what == "IPC" {
			if f.Shm, err = l.sharedMemoryOf(other); err != nil {
				return err
			}
		}
	}
	if h.IpcMode == "shareable" {
		var err error
		f.Shm, err = l.makeSharedMemory()
		return err
	}
	return nil
}

// sharedMemoryOf is another container's /dev/shm, where it lies on the host.
func (l *life) sharedMemoryOf(other *minicontainer.Container) (string, error) {
	if other.HostConfig.IpcMode != "shareable" {
		return "", fmt.Errorf("can't join IPC of container %s: non-shareable IPC (hint: use IpcMode:shareable for the donor container)", other.ID)
	}
	return l.engine.File(other.ID, "shm"), nil
}

// makeSharedMemory mounts a /dev/shm that others may join: it has to be a mount
// of the host's, for another container's cannot be bound.
func (l *life) makeSharedMemory() (string, error) {
	dir := l.engine.File(l.id, "shm")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	size := l.c.HostConfig.ShmSize
	m := bundle.ShmMount(dir, size)
	data := strings.Join(m.Options[3:], ",")
	if err := unix.Mount("shm", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC|unix.MS_NODEV, data); err != nil {
		return "", fmt.Errorf("mount tmpfs %s %s: %w", dir, data, err)
	}
	return dir, nil
}
