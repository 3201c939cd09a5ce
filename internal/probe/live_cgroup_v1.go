package probe

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// v1Knobs is the file that shows that a v1 controller does its work.
var v1Knobs = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"cpu": "cpu.shares", "cpuacct": "cpuacct.usage", "cpuset": "cpuset.cpus",
		"memory": "memory.limit_in_bytes", "devices": "devices.allow", "freezer": "freezer.state",
		"blkio": "blkio.throttle.read_bps_device", "net_cls": "net_cls.classid",
		"net_prio": "net_prio.ifpriomap", "perf_event": "cgroup.procs", "pids": "pids.max",
		"rdma": "rdma.max", "misc": "misc.max", "hugetlb": "hugetlb.2MB.limit_in_bytes",
	}
})

// Why a v1 controller is not usable.
const (
	reasonNotV1       = "this kernel has no v1 part of it; since 6.12 that says nothing about v2"
	reasonDisabled    = "switched off by cgroup_disable= on the kernel command line"
	reasonV1Unmounted = "built, but no v1 hierarchy of it is mounted; it may belong to v2"
)

// v1Controller checks one controller, "memory", or one knob of it,
// "memory memory.memsw.limit_in_bytes". It never mounts a hierarchy: that
// would take the controller away from v2 for the whole machine.
func v1Controller(_ *stage, arg string) Finding {
	controller, knob, _ := strings.Cut(arg, " ")
	if knob == "" {
		knob = v1Knobs()[controller]
	}
	line, ok := parseProcCgroups(strings.NewReader(text("/proc/cgroups")))[controller]
	switch {
	case !ok:
		return read(No, "/proc/cgroups", "no line for "+controller).because(reasonNotV1)
	case !line.enabled:
		return read(Off, "/proc/cgroups", controller+" enabled=0").because(reasonDisabled)
	case line.hierarchy == "0":
		return read(Off, "/proc/cgroups", controller+" hierarchy=0").because(reasonV1Unmounted)
	}
	return v1Knob(controller, knob)
}

// v1Knob looks for the file in a new child cgroup. Where none may be made, it
// looks in the cgroups that are there: the root of a hierarchy lacks some of
// the files, so that not finding it there proves nothing.
func v1Knob(controller, knob string) Finding {
	f := inTempCgroup(controller, func(dir string) Finding {
		_, err := os.Stat(dir + "/" + knob)
		return asked("stat("+knob+")", err, driver).with(dir).because("the controller is there, this file of it is not")
	})
	if f.State != Denied {
		return f
	}
	own, _ := ownCgroupDir(controller)
	for _, pattern := range []string{"/", "/*/"} {
		if found, _ := filepath.Glob(own + pattern + knob); len(found) > 0 {
			return read(Yes, found[0], "exists")
		}
	}
	f.State = Unknown
	return f.because("a cgroup may not be made here, and the ones in sight do not show the file")
}

// v1Mounted says whether any v1 hierarchy with a controller is mounted.
func v1Mounted(*stage, string) Finding {
	var names []string
	for c := range v1Knobs() {
		if _, ok := cgroupPoint(ownMounts(), c); ok {
			names = append(names, c)
		}
	}
	if _, v2 := cgroupPoint(ownMounts(), ""); len(names) == 0 && !v2 {
		return read(Unknown, "/proc/self/mountinfo", "no cgroup file system").because("no cgroup file system is in sight here")
	}
	if len(names) == 0 {
		return read(Off, "/proc/self/mountinfo", "no cgroup v1 controller is mounted").
			because("this machine uses cgroup v2 only")
	}
	return read(Yes, "/proc/self/mountinfo", sortedWords(names))
}
