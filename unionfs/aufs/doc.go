// Package aufs stacks directories into one, as the AUFS kernel module does:
// on a kernel that has the module it asks mount(2) for it, everywhere else it
// serves the same rules from user space over FUSE.
//
// # The story
//
// Docker's first storage driver was AUFS. An image is a pile of read-only
// directories; a container adds one writable directory on top. AUFS shows the
// pile as a single tree, keeps every change in the top directory, and never
// touches the ones below. The module never entered the mainline kernel and no
// distribution ships it any more, so that what the books describe cannot be
// seen on a learner's machine. Here it can.
//
// # Words
//
//	branch     one of the stacked directories; the first one named is on top
//	rw, ro     a branch that takes changes; one that never does
//	ro+wh      read-only, but whiteouts found in it count (an image layer)
//	whiteout   a file .wh.NAME: "NAME below this branch is deleted"
//	opaque     a file DIR/.wh..wh..opq: "show nothing of DIR from below"
//	copy-up    a lower file is about to change: copy it whole to a rw branch first
//	pseudo-link (plink)   keeps hard links of a lower file together after copy-up
//
// # The drawing
//
//	          /mnt          etc/conf(B)   bin/sh(A)   [etc/old gone]   srv/new(R)
//	           ^
//	lookup goes down and stops at the first hit or whiteout
//	           |
//	rw    /b/rw     .wh..wh.aufs    the file that whiteouts are hard links of
//	                .wh..wh.orph/   half-made and orphaned things
//	                .wh..wh.plnk/   pseudo-links, named INODE.INODE
//	                etc/.wh.old     a whiteout
//	                srv/.wh..wh..opq, srv/new
//	ro+wh /b/B      etc/conf
//	ro    /b/A      etc/conf etc/old bin/sh srv/hidden
//
// # How to read the package
//
// options.go and perm.go parse what stands after -o. branch.go opens the
// stacked directories. lookup.go decides what a name means. copyup.go,
// whiteout.go, create.go, remove.go, rename.go and link.go change things, and
// all of them go through steps.go, which makes a change of several renames
// survive kill -9. inode.go, plink.go and node.go keep identity. file.go,
// read.go, readdir.go and attr.go speak FUSE. mount.go is the entry.
//
// # The server
//
// Mount starts this program once more as a server in a mount namespace of its
// own, mounts /dev/fuse on the target, and leaves. The server ends when the
// union is unmounted, or when the mount namespace that sees it ends. It holds
// the branches open and nothing else.
//
// What a FUSE server costs is the waking: the program wakes the server with each
// request, the server the program with each answer. loop.go sees to it that
// nobody else is woken, long.go says when that rule does not hold, sysmon.go
// keeps the Go runtime from breaking it, and read.go makes fewer requests of
// long reads. kernel.go is what the server says unasked.
//
// How long the kernel may remember names and attributes is the option udba:
// a second (reval, the default), for long (none: nobody else changes the
// branches; what a store of image layers wants), not at all (notify). Files in
// a rw branch are read and written by the kernel itself where it can
// (passthrough.go).
//
// What this is not: a copy of the module's code. It was written from its
// documented and observed behaviour; differences.go lists where it behaves
// otherwise on purpose, and why.
//
// Further reading: aufs(5) of aufs-util, fuse(4), mount(2),
// Documentation/filesystems/fuse in the kernel tree.
package aufs
