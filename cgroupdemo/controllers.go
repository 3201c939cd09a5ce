package cgroupdemo

// Version is the version of the cgroup interface that serves a controller.
type Version int

// The two interfaces. The zero value means "not here at all".
const (
	V1 Version = 1
	V2 Version = 2
)

// String gives "v1", "v2" or "none".
func (v Version) String() string {
	switch v {
	case V1:
		return "v1"
	case V2:
		return "v2"
	}
	return "none"
}

// Other is the version that the value stands beside: V2 for V1 and V1 for V2.
func (v Version) Other() Version {
	if v == V1 {
		return V2
	}
	return V1
}

// Controller names a resource in version 2's words, with v1's where v2 has none.
type Controller string

// The controllers that this package drives. Core is no controller but version
// 2's own files (cgroup.freeze, cgroup.kill, cgroup.events), which each v2 group has.
const (
	Core    Controller = "core"
	CPU     Controller = "cpu"
	CPUAcct Controller = "cpuacct"
	CPUSet  Controller = "cpuset"
	Memory  Controller = "memory"
	IO      Controller = "io"
	PIDs    Controller = "pids"
	Devices Controller = "devices"
	Freezer Controller = "freezer"
	HugeTLB Controller = "hugetlb"
	RDMA    Controller = "rdma"
	NetCls  Controller = "net_cls"
	NetPrio Controller = "net_prio"
)

// names says what the kernel calls a controller in each version. An empty v2
// name means that /cgroup.controllers never lists it: either the core does the
// work (builtin) or version 2 left it to others.
var names = []struct {
	controller Controller
	v1, v2     string
	builtin    bool   // v2 gives it to every group without subtree_control
	v2Note     string // where the work went in version 2
}{
	{Core, "", "", true, "files of every cgroup2 group"},
	{CPU, "cpu", "cpu", false, "cpu.weight, cpu.max"},
	{CPUAcct, "cpuacct", "", true, "cpu.stat, in every group"},
	{CPUSet, "cpuset", "cpuset", false, "cpuset.cpus, cpuset.mems"},
	{Memory, "memory", "memory", false, "memory.max, memory.current"},
	{IO, "blkio", "io", false, "io.max, io.weight"},
	{PIDs, "pids", "pids", false, "pids.max"},
	{Devices, "devices", "", true, "a BPF program of type CGROUP_DEVICE"},
	{Freezer, "freezer", "", true, "cgroup.freeze, in every group"},
	{HugeTLB, "hugetlb", "hugetlb", false, "hugetlb.<size>.max"},
	{RDMA, "rdma", "rdma", false, "rdma.max"},
	{NetCls, "net_cls", "", false, "gone: match the group's path with nftables or BPF"},
	{NetPrio, "net_prio", "", false, "gone: set the priority with nftables or BPF"},
}

// Controllers lists every controller this package knows, in a stable order.
func Controllers() []Controller {
	list := make([]Controller, 0, len(names))
	for _, n := range names {
		list = append(list, n.controller)
	}
	return list
}

// usual are the controllers that a group gets unless others are asked for. The
// rest (huge pages, RDMA, network marks) would have to be handed on by groups
// that are not ours, for the sake of limits that hardly anybody sets.
func usual() []Controller {
	return []Controller{Core, CPU, CPUAcct, CPUSet, Memory, IO, PIDs, Devices, Freezer}
}

// NameIn is the kernel's name of the controller in that version; "" where the
// version has no such controller to enable or to mount.
func (c Controller) NameIn(v Version) string {
	for _, n := range names {
		if n.controller != c {
			continue
		}
		if v == V1 {
			return n.v1
		}
		return n.v2
	}
	return ""
}

// builtinV2 says whether each v2 group can do the controller's work without its
// being named in cgroup.subtree_control.
func (c Controller) builtinV2() bool {
	for _, n := range names {
		if n.controller == c {
			return n.builtin
		}
	}
	return false
}
