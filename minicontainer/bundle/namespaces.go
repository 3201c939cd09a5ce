package bundle

import (
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/minicontainer"
)

// namespaces: each kind is new, another container's, or (left out) the host's.
func namespaces(c *minicontainer.Container, f Facts) []specs.LinuxNamespace {
	h := &c.HostConfig
	list := []specs.LinuxNamespace{{Type: specs.MountNamespace}}
	add := func(kind specs.LinuxNamespaceType, mode string, of int) {
		switch {
		case of > 0:
			list = append(list, specs.LinuxNamespace{Type: kind, Path: NamespacePath(of, kind)})
		case mode != "host":
			list = append(list, specs.LinuxNamespace{Type: kind})
		}
	}
	if len(f.IDs) > 0 {
		add(specs.UserNamespace, "", 0)
	}
	if mode, err := c.Mode(); err == nil {
		list = append(list, mode.Namespaces(NamespacePath(f.NetworkOf, specs.NetworkNamespace))...)
	}
	add(specs.UTSNamespace, h.UTSMode, 0)
	add(specs.IPCNamespace, h.IpcMode, f.IPCOf)
	add(specs.PIDNamespace, h.PidMode, f.PidOf)
	add(specs.CgroupNamespace, cgroupMode(h, f), 0)
	return list
}

// cgroupMode: private where there is version 2 only; on version 1 programs in
// containers are used to the host's paths. A privileged one sees the host's.
func cgroupMode(h *minicontainer.HostConfig, f Facts) string {
	if h.CgroupnsMode != "" {
		return h.CgroupnsMode
	}
	if f.Unified && !h.Privileged {
		return "private"
	}
	return "host"
}

// NamespacePath is the file of a process's namespace.
func NamespacePath(pid int, kind specs.LinuxNamespaceType) string {
	file := map[specs.LinuxNamespaceType]string{specs.NetworkNamespace: "net", specs.MountNamespace: "mnt"}[kind]
	if file == "" {
		file = string(kind)
	}
	return fmt.Sprintf("/proc/%d/ns/%s", pid, file)
}

// ParseIDs reads --userns CONTAINER:HOST:SIZE; "" and "host" are none.
func ParseIDs(mode string) ([]specs.LinuxIDMapping, error) {
	if mode == "" || mode == "host" {
		return nil, nil
	}
	var m specs.LinuxIDMapping
	n, err := fmt.Sscanf(strings.ReplaceAll(mode, ":", " "), "%d %d %d", &m.ContainerID, &m.HostID, &m.Size)
	if err != nil || n != 3 || m.Size == 0 || strings.Count(mode, ":") != 2 {
		return nil, &minicontainer.Invalid{Reason: "invalid USER mode: " + mode + ": want host or CONTAINER:HOST:SIZE, such as 0:100000:65536"}
	}
	return []specs.LinuxIDMapping{m}, nil
}
