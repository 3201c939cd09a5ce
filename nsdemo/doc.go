// Package nsdemo makes Linux namespaces, acts inside them, and reads back what the
// kernel then shows inside and outside.
//
// # The story
//
// A namespace is a kernel table with a name tag on it: one table of mounts, one of
// process ids, one of network devices. Every process points at eight such tables
// (its nsproxy, in the kernel's words), and sees the machine through them. A
// container is not a thing in the kernel: it is an ordinary process whose pointers
// go to tables of its own.
//
//	host's shell, pid 800                     container's init: pid 900, its own pid 1
//	┌───────────────────────┐                 ┌───────────────────────┐
//	│ /proc/800/ns/         │                 │ /proc/900/ns/         │
//	│   mnt ─▶ [4026531832] │                 │ [4026532290] ◀─ mnt   │ mounts of its own
//	│   uts ─▶ [4026531838] │                 │ [4026532291] ◀─ uts   │ hostname of its own
//	│   ipc ─▶ [4026531839] │                 │ [4026532292] ◀─ ipc   │ ...
//	│   pid ─▶ [4026531836] │◀── parent of ───│ [4026532293] ◀─ pid   │
//	│   net ─▶ [4026531833] │                 │ [4026532295] ◀─ net   │
//	│cgroup ─▶ [4026531835] │                 │ [4026532294] ◀─ cgroup│
//	│  user ─▶ [4026531837] │◀─ both the same,│ [4026531837] ◀─ user  │
//	│  time ─▶ [4026531834] │   as with Docker│ [4026531834] ◀─ time  │
//	└───────────────────────┘                 └───────────────────────┘
//	                  ▲                                 │
//	                  └─ user:[4026531837] owns them all┘
//
// The number in brackets is the inode of the namespace in nsfs. It is the only
// identity that a namespace has: two processes are in the same one when the links
// /proc/PID/ns/KIND read the same.
//
// # The kernel's words
//
//   - clone(2) with CLONE_NEW* gives a child new namespaces, unshare(2) gives the
//     caller new ones, setns(2) enters existing ones.
//   - A namespace lives while a process is in it, a file descriptor is open on it,
//     or its file is bind-mounted somewhere ([Pin]).
//   - Every namespace is owned by a user namespace. To change what is in the
//     table one needs a capability there, not here: inner root has all
//     capabilities, but only over what its own user namespace owns ([Inspect]).
//   - A pid namespace is nested: its processes have one pid in each level up
//     (NSpid in /proc/PID/status), and end with its pid 1. Only children enter.
//   - A time namespace shifts CLOCK_MONOTONIC and CLOCK_BOOTTIME, never
//     CLOCK_REALTIME, and its offsets are fixed when the first process enters.
//   - A mount is private, shared, slave or unbindable; that says whether mounts
//     below it travel to copies of it in other mount namespaces.
//
// # How this package is laid out
//
//	kind.go            the eight kinds                    Kind
//	spec.go plan.go    what to make, as clone flags       Spec, Plan (pure)
//	process.go         a process in there                 Start, Join, Process
//	verb_*.go          what a process does inside         Process.Mount, ...
//	ids.go ... list.go the kernel's view of any pid       IDs, ReadStatus, Mounts, List
//	pin.go             a namespace without a process      Pin, Unpin
//	explain.go         what an errno likely means         Explain
//
// All that reads takes the root of a proc filesystem and a pid, so it works on a
// process that `unshare --mount sleep 1000 &` made as well. What the kernel shows
// only to those within (/proc/sysvipc, the hostname, clocks) is read through a
// [Process] that has joined: Join(ctx, pid, kinds...).
//
// # What this is not
//
// Not a container runtime: there is no image, no cgroup limit, no seccomp filter.
// Nothing is printed, and nothing that a verb made outlives its namespaces.
//
// Further reading: namespaces(7), mount_namespaces(7), pid_namespaces(7),
// user_namespaces(7), network_namespaces(7), uts_namespaces(7), ipc_namespaces(7),
// cgroup_namespaces(7), time_namespaces(7), clone(2), unshare(2), setns(2),
// pivot_root(2), ioctl_ns(2), and Documentation/filesystems/sharedsubtree.rst.
package nsdemo
