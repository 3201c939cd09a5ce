// Package rootfs builds the file tree that a container sees, and moves into it.
//
// The tree belongs to the container: its image may hold any symlink, and a
// volume of it may be changed by another running container while this one is
// being set up. So no path below the root is ever handed to the kernel as a
// string to follow. Every place is first opened, with openat2(2) and
// RESOLVE_IN_ROOT, which treats the given folder as "/" for "..", for absolute
// symlinks and against renames that happen meanwhile; from then on the
// descriptor is used. A mount is made detached, finished, and then put on that
// descriptor in one step:
//
//	source                            target
//	fsopen, fsconfig..., fsmount      openat2(root, "data", RESOLVE_IN_ROOT)
//	open_tree(OPEN_TREE_CLONE)               |
//	      | mount_setattr(ro, nosuid)        |
//	      +------- move_mount(fd, fd) -------+
//
// Nobody sees a mount with half its flags, and nobody can swap the target
// between check and use (CVE-2021-30465). /proc is asked through a descriptor
// of the host's procfs that was opened before the first mount of the container,
// so what the container mounts over /proc deceives nobody (CVE-2019-16884,
// CVE-2025-31133, CVE-2025-52881).
//
// At the end pivot_root(2) makes the tree "/" and the old root is let go: no
// path, no descriptor and no mount leads back. chroot(2) could be left again by
// any process with CAP_SYS_CHROOT, so it is never used.
//
// Needs Linux 5.12 (mount_setattr).
//
// See openat2(2), open_tree(2), move_mount(2), mount_setattr(2), fsopen(2),
// pivot_root(2), mount_namespaces(7), and Documentation/filesystems/
// sharedsubtree.rst of the kernel.
package rootfs
