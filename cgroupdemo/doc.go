// Package cgroupdemo limits, freezes, counts and kills groups of processes
// with control groups, on version 1, version 2 and on machines that mix both.
//
// # The story
//
// A control group is a directory. The kernel fills it with files; writing a
// number into one is a limit, reading one is the bill, and writing a process
// id into cgroup.procs moves that process in. Its children are born there.
//
//	version 1: one tree per controller          version 2: one tree for all
//
//	/sys/fs/cgroup/cpu/cutaway/web              /sys/fs/cgroup/cutaway/web
//	              /cpu.cfs_quota_us                           /cpu.max
//	/sys/fs/cgroup/memory/cutaway/web                         /memory.max
//	              /memory.limit_in_bytes                      /pids.max
//	/sys/fs/cgroup/pids/cutaway/web                           /cgroup.procs
//	              /pids.max
//	        (each with its own cgroup.procs)    (a controller's files appear once the
//	                                             parent's cgroup.subtree_control names it)
//
// A controller belongs to one hierarchy at a time, so a machine may be v1, v2
// or hybrid: some controllers in v1 trees, the rest (and the core of version 2:
// cgroup.freeze, cgroup.kill, CLONE_INTO_CGROUP) in a cgroup2 mount. That is
// why this package decides per controller and not per machine.
//
// # Reading order
//
// What the kernel has: hierarchies.go (with the parsers), own.go, table.go.
// What to set: spec.go, plan.go and the plan_*.go files, which are pure: a
// [Spec] becomes an ordered list of [Write], each with the file that the other
// version would have used. What to do: place.go, create.go, set.go, attach.go,
// freeze.go, kill.go, delete.go, one kernel verb each. What came of it:
// read_*.go, where every value is a [Reading] that says which file it is from.
// Why it failed: explain.go.
//
// # Words
//
// A hierarchy is one mounted tree. A controller (subsystem in old texts) is the
// part of the kernel that counts and limits one resource. A leaf is a group
// without child groups; version 2 wants processes in leaves only ("no internal
// processes"), or rather: not beside child groups that have controllers.
// Delegation is giving a subtree to somebody less privileged.
//
// # What this is not
//
// No systemd: on a systemd machine it is polite to ask it for a scope with
// Delegate=yes and to work below that. No thread-mode trees beyond moving a
// thread, no PSI triggers, no cgroup namespaces (those are a namespace matter).
//
// # Sources
//
// cgroups(7), cgroup_namespaces(7), bpf(2), eventfd(2), inotify(7); in the
// kernel tree Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/*.rst.
package cgroupdemo
