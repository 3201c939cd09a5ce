package cgroupdemo

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Verb is what was tried when an error came.
type Verb string

// The verbs that [Explain] knows.
const (
	VerbMkdir   Verb = "mkdir"             // make a group
	VerbRmdir   Verb = "rmdir"             // remove one
	VerbEnable  Verb = "subtree_control"   // hand a controller on
	VerbWrite   Verb = "write"             // set a limit
	VerbAttach  Verb = "attach"            // write to cgroup.procs
	VerbThread  Verb = "attach thread"     // write to tasks or cgroup.threads
	VerbFork    Verb = "fork"              // inside a limited group
	VerbOpen    Verb = "open a device"     // under device rules
	VerbDevices Verb = "device rules"      // write devices.deny, load or attach BPF
	VerbFreeze  Verb = "freeze"            // freezer.state, cgroup.freeze
	VerbBirth   Verb = "CLONE_INTO_CGROUP" // clone3(2)
)

// Advice is the three lines a learner needs.
type Advice struct {
	Failed string // what was tried, with the error's own text
	Likely string // why, probably; "" if we do not know
	Do     string
}

// Explain tells what an error of this package likely means. It looks for the
// errno anywhere in err's chain; an errno it does not know gives only Failed.
func Explain(verb Verb, err error) Advice {
	a := Advice{Failed: fmt.Sprintf("%s: %v", verb, err)}
	var delegation *DelegationError
	switch {
	case err == nil:
		return Advice{}
	case errors.As(err, &delegation):
		a.Likely, a.Do = "this part of the tree was not given to you (delegated)", delegation.WayOut
		return a
	case errors.Is(err, ErrNoController):
		a.Likely = "the kernel lacks the controller, or it was switched off at boot (cgroup_disable=), or nothing is mounted"
		a.Do = "see /proc/cgroups and /sys/fs/cgroup/cgroup.controllers; mount the hierarchy or boot without the option"
		return a
	}
	for _, e := range explanations {
		if (e.verb == verb || e.verb == "") && errors.Is(err, e.errno) {
			a.Likely, a.Do = e.likely, e.do
			return a
		}
	}
	return a
}

// explanations: the first that fits counts; an empty verb fits all.
var explanations = []struct {
	verb       Verb
	errno      syscall.Errno
	likely, do string
}{
	{VerbRmdir, unix.EBUSY, "a process (perhaps a killed one that has not left yet) or a child group is still inside",
		"look at cgroup.procs and the folders in it; end or move the processes, remove the children first"},
	{VerbRmdir, unix.ENOTEMPTY, "this is an ordinary folder with files, not a control group", "check the path"},

	{VerbEnable, unix.EBUSY, "the group has processes of its own, and a group that hands on controllers may not (no internal processes); or a child still uses what you take away",
		"move its processes into a child group (a leaf) first, then write +controller"},
	{VerbEnable, unix.ENOENT, "the group was not given this controller itself: cgroup.controllers does not list it",
		"enable it in the parents first, from the top down; a controller on a v1 hierarchy cannot be enabled at all"},
	{VerbEnable, unix.EOPNOTSUPP, "the group is threaded, and this controller counts whole processes (memory, io)",
		"use a domain group: cat cgroup.type"},
	{VerbEnable, unix.EINVAL, "the kernel knows no controller of that name", "see cgroup.controllers at the top"},

	{VerbAttach, unix.EBUSY, "the group hands on controllers to its children, so it may not hold processes (no internal processes)",
		"attach to a leaf: a group whose cgroup.subtree_control is empty"},
	{VerbAttach, unix.ENOSPC, "a v1 cpuset without CPUs or memory nodes: a process there could run nowhere",
		"fill cpuset.cpus and cpuset.mems (the parent's values) before moving a process in"},
	{VerbAttach, unix.ESRCH, "the process has ended", "nothing to do"},
	{VerbAttach, unix.EINVAL, "0 or a negative number, a kernel thread that is bound to a CPU, or a realtime thread without a realtime budget",
		"check the pid; for realtime threads set cpu.rt_runtime_us first"},
	{VerbAttach, unix.EOPNOTSUPP, "the group is threaded or invalid as a domain", "cat cgroup.type; attach to a domain group"},
	{VerbAttach, unix.EACCES, "moving needs write permission to cgroup.procs of the group above both the old and the new one",
		"start inside the delegated subtree: systemd-run --user --scope -p Delegate=yes <command>"},
	{VerbThread, unix.EOPNOTSUPP, "threads of one process may only be spread over a threaded subtree",
		"write threaded to cgroup.type of the group, below the process's own group"},

	{VerbFork, unix.EAGAIN, "pids.max of this group or of one above is reached (or ulimit -u)",
		"read pids.events: its max counts the refusals; raise pids.max"},
	{VerbBirth, unix.EBUSY, "the group hands on controllers to its children, so it may not hold processes", "give a leaf"},
	{VerbBirth, unix.EBADF, "the file is no directory of a cgroup2 mount", "open the group's directory below the cgroup2 mount point"},
	{VerbBirth, unix.EOPNOTSUPP, "the group is in an invalid threaded state", "cat cgroup.type"},
	{VerbBirth, unix.ENOSYS, "no clone3(2): older than Linux 5.3, or forbidden by a seccomp profile", "attach the process after its start"},

	{VerbOpen, unix.EPERM, "a device rule of the group forbids it; root is not exempt", "read devices.list (v1), or look at the group's BPF programs (v2)"},
	{VerbDevices, unix.EINVAL, "v1: a group with children takes no rule for all devices; v2: no CONFIG_CGROUP_BPF, or the verifier refused the program",
		"set the rules before making children; read the verifier's words in the error"},
	{VerbDevices, unix.EPERM, "v1: a child may not be allowed more than its parent; v2: bpf(2) needs CAP_BPF and CAP_NET_ADMIN (CAP_SYS_ADMIN before 5.8)",
		"allow it in the parent first; run as root"},

	{VerbMkdir, unix.EEXIST, "a group of that name is there already", "choose another name, or remove it (cutaway clean)"},
	{VerbMkdir, unix.EAGAIN, "cgroup.max.depth or cgroup.max.descendants of a group above is reached", "raise it or remove groups"},

	{VerbFreeze, unix.EBUSY, "the group is being frozen by an ancestor", "thaw the ancestor"},
	{VerbWrite, unix.EBUSY, "memory: more is in use than the new limit allows; cpuset: a child uses what you take away", "lower the use first"},
	{VerbWrite, unix.EINVAL, "out of range, more than the group above allows (v1 cpu.cfs_quota_us, cpu.rt_runtime_us), memory above memory+swap, or an idle group given a weight",
		"compare with the same file one level up"},
	{VerbWrite, unix.ERANGE, "out of range", "see the file's range in cgroup-v2.rst"},
	{VerbWrite, unix.ENODEV, "no block device has these numbers", "lsblk shows major:minor; a partition cannot be throttled, its disk can"},
	{VerbWrite, unix.EOPNOTSUPP, "this kernel no longer offers the knob", "leave it out"},
	{"", unix.ENOENT, "no such control file: the controller is not enabled for this group, or the kernel is older than the file",
		"see cgroup.controllers of the group and cgroup.subtree_control of its parent; the top group has no limit files at all"},
	{"", unix.EROFS, "the cgroup filesystem is mounted read-only, as in most containers", "run on the host, or with a writable cgroup mount"},
	{"", unix.EACCES, "this part of the tree was not given to you (delegated)", "run as root, or: systemd-run --user --scope -p Delegate=yes <command>"},
	{"", unix.EPERM, "this part of the tree was not given to you (delegated)", "run as root, or: systemd-run --user --scope -p Delegate=yes <command>"},
	{"", unix.ENODEV, "the group was removed while the file was open", "make it again"},
}
