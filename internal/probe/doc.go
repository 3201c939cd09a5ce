// Package probe says what the running kernel can do, by making it do it.
//
// # Why not read the config
//
// A kernel config tells what was built. Labs need to know what works, here,
// for this caller, and the two differ in both directions: SECURITY_SELINUX=y
// is built and not active; an option that was merged away is "missing" and
// its feature works; a device node exists and has no driver behind it; an
// overlay mounts and then fails at the first rm -r. So every row of the table
// is an act in a throwaway child process, and the config is only the other
// side of a two-sided view (Disagreement).
//
//	            files only                       a child per place
//	Run ──┬── /proc/modules, modules.dep ──┐    ┌ plain     as the caller is
//	      ├── /proc/config.gz, /boot ...   ├──> ├ owner     CAP_SYS_ADMIN, own or by user namespace
//	      └── /proc/filesystems ...        │    ├ mounts    + mount namespace, a tmpfs nobody else sees
//	          settles: module, --config,   │    ├ network   + net namespace
//	          --passive                    │    ├ nested    always in a user namespace
//	                                       │    └ stranger  uid 65534
//	          Finding {state, evidence} <──┴── one line of JSON per row
//	          + table row + config facts = Result
//
// # Seven states
//
// yes, module (on disk, not loaded), off (built, switched off), denied (this
// caller was refused: says nothing about the kernel), limit (a count is used
// up), no, and unknown with the reason. Most wrong answers of other tools are
// two of these taken for one.
//
// # What it leaves behind
//
// Nothing. Mounts, links, rules and filters are in namespaces and threads
// that die with the child, even by SIGKILL. A cgroup is removed at once, or by
// the next run; a loop device clears itself at its last close. The one thing
// that could stay is a module which the kernel loads because it was asked for
// a feature: without Options.Load nothing is asked that could do that.
//
// # How a live probe works
//
// Most calls take an argument that no kernel can accept. A kernel that has the
// call gets as far as the argument (EINVAL, EBADF, EFAULT, ENOENT); one that
// has not says ENOSYS. What an errno means is therefore a property of the
// call, and is written beside it (verdict). A child that crashes or hangs costs
// its own row: the next row gets a new child.
//
// # Go and namespaces
//
// A Go process has threads, and the kernel refuses unshare(CLONE_NEWUSER) to
// those with EINVAL, the same errno as for "not built": user namespaces are
// entered by clone flags of a new process, never by unshare. All others are
// unshared in a locked thread that dies (onThread). Go would start a child
// with CLONE_NEWTIME by clone3, which container profiles answer with ENOSYS,
// so the time namespace is unshared by the main thread of a child of its own.
//
// # What this is not
//
// It is no hardening checker (which wants many of these things to be absent),
// and it never compares version numbers of the running kernel: Since is shown,
// not used.
//
// See namespaces(7), cgroups(7), mount(2), fsopen(2), unshare(2), seccomp(2),
// rtnetlink(7), kernel.org Documentation/filesystems/overlayfs.rst and
// Documentation/admin-guide/cgroup-v2.rst.
package probe
