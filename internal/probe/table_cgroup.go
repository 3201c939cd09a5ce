package probe

import "strings"

func cgroupRows() []Probe {
	return rows(groupCgroup, plain, []Probe{
		{ID: "cgroup.v2", Title: "cgroup v2 can be mounted", Since: "4.5", Symbols: []string{"CGROUPS"}, File: "/proc/filesystems cgroup2", Live: "v2mount", place: mounts,
			Effect: "only the labs on cgroup v1 work"},
		{ID: "cgroup.v1", Title: "cgroup v1 hierarchies are mounted", Symbols: []string{"CGROUPS"}, Live: "v1any", Privilege: AnyUser,
			Effect: "only the labs on cgroup v2 work",
			Fix:    "update-grub   # after adding systemd.unified_cgroup_hierarchy=0 to GRUB_CMDLINE_LINUX in /etc/default/grub; systemd 256 and 257 also want SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 there, 258 has no v1"},
		{ID: "cgroup.delegation", Title: "child cgroups may be made here", Live: "delegation", Privilege: AnyUser,
			Effect: "without root no limits can be set", Fix: "sudo cutaway lab NUMBER   # or: cutaway lab --on vm NUMBER; or without root: systemd-run --user --scope -p Delegate=yes cutaway lab NUMBER"},
		{ID: "cgroup.freeze", Title: "cgroup.freeze", Since: "5.2", Live: "v2file:cgroup.freeze", Privilege: Root,
			Effect: "pause does not work on cgroup v2"},
		{ID: "cgroup.kill", Title: "cgroup.kill", Since: "5.14", Live: "v2file:cgroup.kill", Privilege: Root,
			Effect: "a container is killed process by process"},
		{ID: "cgroup.type", Title: "cgroup.type: threaded cgroups", Since: "4.14", Live: "v2file:cgroup.type", Privilege: Root,
			Effect: "threads of one process cannot be in different cgroups"},
		{ID: "cgroup.pressure", Title: "cgroup.pressure", Since: "6.1", Symbols: []string{"PSI"}, Live: "v2file:cgroup.pressure", Privilege: Root, built: true,
			Effect: "pressure of one container is not counted", Fix: fixPressure},
		{ID: "cgroup.psi", Title: "pressure stall information", Since: "4.20", Symbols: []string{"PSI"}, Live: "psi", Privilege: AnyUser,
			Effect: "the labs cannot show how long a container waited for cpu, memory and io", Fix: fixPressure},
		{ID: "cgroup.v2.devices", Title: "device lists by BPF program", Since: "4.15", Symbols: []string{"CGROUP_BPF"}, Live: "v2devices", Privilege: Root,
			Effect: "on cgroup v2 a container may open every device it can name"},
	})
}

const fixPressure = "update-grub   # after adding psi=1 to GRUB_CMDLINE_LINUX in /etc/default/grub; then reboot"

// fixV1 is the same for all controllers: a mount would be the answer, but one
// that takes the controller away from v2 for the whole machine. The virtual
// machine is no way out, it boots with v2.
const fixV1 = "cat /sys/fs/cgroup/cgroup.controllers   # what v2 has of these, the labs use instead; v1 itself needs systemd.unified_cgroup_hierarchy=0 on the kernel command line, where the distribution still has it"

func cgroupV1Rows() []Probe {
	v1 := func(id ID, live, symbol, effect string) Probe {
		name := live[strings.LastIndex(live, " ")+1:] // the knob, if one is named behind its controller
		return Probe{ID: "cgroup.v1." + id, Title: "v1 " + name, Symbols: []string{symbol}, Live: "v1:" + live,
			Effect: effect, Fix: fixV1, Privilege: Root}
	}
	return rows(groupCgroupV1, plain, []Probe{
		v1("cpu", "cpu", "CGROUP_SCHED", "no cpu shares on v1"),
		v1("cpu.quota", "cpu cpu.cfs_quota_us", "CFS_BANDWIDTH", "no --cpus on v1"),
		v1("cpuacct", "cpuacct", "CGROUP_CPUACCT", "no cpu time per container on v1"),
		v1("cpuset", "cpuset", "CPUSETS_V1|CPUSETS", "no --cpuset-cpus on v1"),
		v1("memory", "memory", "MEMCG_V1|MEMCG", "no --memory on v1"),
		v1("memory.swap", "memory memory.memsw.limit_in_bytes", "SWAP", "no --memory-swap on v1"),
		v1("devices", "devices", "CGROUP_DEVICE", "no device list on v1"),
		v1("freezer", "freezer", "CGROUP_FREEZER", "no pause on v1"),
		v1("blkio", "blkio", "BLK_CGROUP", "no --device-read-bps on v1"),
		v1("net_cls", "net_cls", "CGROUP_NET_CLASSID", "no traffic classes per container"),
		v1("net_prio", "net_prio", "CGROUP_NET_PRIO", "no network priority per container"),
		v1("perf_event", "perf_event", "CGROUP_PERF", "no perf counters per container"),
		v1("hugetlb", "hugetlb", "CGROUP_HUGETLB", "no limit on huge pages on v1"),
		v1("pids", "pids", "CGROUP_PIDS", "no --pids-limit on v1"),
		v1("rdma", "rdma", "CGROUP_RDMA", "no limit on RDMA devices on v1"),
		v1("misc", "misc", "CGROUP_MISC", "no limit on misc resources on v1"),
	})
}

func cgroupV2Rows() []Probe {
	v2 := func(name, since, symbol, effect string) Probe {
		return Probe{ID: ID("cgroup.v2." + name), Title: "v2 " + name, Since: since, Symbols: []string{symbol},
			Live: "v2:" + name, Effect: effect, Fix: fixUnified, Privilege: AnyUser}
	}
	knob := func(id ID, file, since, symbol, effect string) Probe {
		return Probe{ID: id, Title: "v2 " + file, Since: since, Symbols: []string{symbol},
			Live: "v2knob:" + file, Effect: effect, Fix: fixUnified, Privilege: AnyUser}
	}
	return rows(groupCgroupV2, plain, []Probe{
		v2("cpu", "4.15", "CGROUP_SCHED", "no cpu weight on v2"),
		knob("cgroup.v2.cpu.quota", "cpu.max", "4.15", "CFS_BANDWIDTH", "no --cpus on v2"),
		v2("cpuset", "5.0", "CPUSETS", "no --cpuset-cpus on v2"),
		v2("memory", "4.5", "MEMCG", "no --memory on v2"),
		knob("cgroup.v2.memory.swap", "memory.swap.max", "4.5", "SWAP", "no --memory-swap on v2"),
		v2("io", "4.5", "BLK_CGROUP", "no --device-read-bps on v2"),
		knob("cgroup.v2.io.max", "io.max", "4.5", "BLK_DEV_THROTTLING", "no io limits on v2"),
		knob("cgroup.v2.io.weight", "io.weight", "4.5", "BLK_CGROUP_IOCOST|BFQ_GROUP_IOSCHED", "no --blkio-weight on v2"),
		v2("pids", "4.5", "CGROUP_PIDS", "no --pids-limit on v2"),
		v2("hugetlb", "5.6", "CGROUP_HUGETLB", "no limit on huge pages on v2"),
		v2("rdma", "4.11", "CGROUP_RDMA", "no limit on RDMA devices on v2"),
		v2("misc", "5.13", "CGROUP_MISC", "no limit on misc resources on v2"),
		v2("dmem", "6.14", "CGROUP_DMEM", "no limit on device memory"),
	})
}
