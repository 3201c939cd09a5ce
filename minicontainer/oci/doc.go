// Package oci is a container runtime after the OCI runtime specification 1.2,
// with the behaviour of runc: it turns a bundle, a folder with a root file
// system and a config.json, into processes.
//
// The words, as the specification has them: a bundle is created, which makes
// everything but runs nothing of it; then it is started; it is stopped when its
// process has ended; then it is deleted. Each of it is one call, and the process
// that made it may be another one each time. What lies between the calls is a
// small folder on disk, and the kernel.
//
//	create                       a thread of it, visiting     the container's process
//	  | config.json, checked
//	  | state folder, cgroups
//	  | clones of root and volumes
//	  | fork into new namespaces ---------------------------->  a script of system calls
//	  |                            the same namespaces
//	  |                            mounts, devices     rootfs
//	  |   hooks, if there are any after the limits
//	  |                            pivot_root, paths
//	  |   limits, if they are not there yet
//	  | the rest of the script ------------------------------>  user, capabilities, filter   seccomp
//	  | <----------------------------------------------------  ready
//	  | state.json                                             reads exec.fifo ...
//	start
//	  | one byte into exec.fifo ----------------------------->  execve: the user's program
//
// The process is two hundred bytes of assembler that perform the script (package
// script). Only where a thread cannot go, into a user namespace, is it this
// program again, which does all of it from the inside.
//
// Read it in this order: create.go and init.go are the two lists of what
// happens, a line per step; stage.go is the process that it happens to, spawn
// starts it; rootfs builds the file tree; seccomp compiles the filter;
// container.go, delete.go and exec.go are what is done to a container later;
// state.go, store.go and process.go are what is remembered, and how a stale
// memory is recognised.
//
// Two rules run through all of it. What comes from the container, names in its
// file tree above all, is never trusted: places are opened once, below its root,
// and used by descriptor. And the runtime's own binary, its descriptors and the
// host's /proc are never in reach of the container, not even while it is made.
//
// What this is not: rootless by helpers (newuidmap), checkpoint and restore,
// Intel RDT, cgroups through systemd. Each is refused with its reason.
//
// See runtime.md, config.md and config-linux.md of the runtime specification
// (github.com/opencontainers/runtime-spec), namespaces(7), cgroups(7),
// capabilities(7), seccomp(2), pivot_root(2).
package oci
