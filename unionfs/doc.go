// Package unionfs is the layer store: where the read-only layers of an image
// and the one writable layer of a container live on disk, and how the kernel
// shows a stack of them as a single tree.
//
// # The story
//
// An image is a stack of differences. The bottom layer is a whole small tree;
// every layer above it only says what was added, changed or deleted. A store
// has to do four things with such a stack: keep each layer once, show the stack
// as one tree (mount), take a difference in as a tar (apply) and give the
// difference out again (diff). How that is done is the whole variety of Docker's
// storage drivers:
//
//	                 image layers (read-only)      container layer (read-write)
//	                 --------------------------    ----------------------------
//	overlay2, aufs   one folder of differences     one more folder; the kernel
//	                 per layer                     merges the folders by name
//	btrfs, zfs       one snapshot of the whole     one more snapshot; blocks are
//	                 tree per layer                shared until written
//	devicemapper     one thin block device         one more thin device; 64 KiB
//	                 per layer                     blocks shared until written
//	vfs              one full copy per layer       one more full copy
//
// # Vocabulary
//
//	layer      one difference, named by an id; its parent is the layer below
//	lowerdir   overlayfs: a read-only folder of the stack
//	upperdir   overlayfs: the writable folder on top
//	branch     AUFS: one folder of the stack, with rw, ro or ro+wh
//	whiteout   a mark in an upper folder: "the name below is deleted"
//	opaque     a mark on an upper folder: "nothing below this folder counts"
//	copy-up    the whole-file copy from a lower folder that the first write costs
//
// # In this directory
//
//	layertar             a difference as a tar: read safely, written byte-stably
//	treediff             a difference found by comparing two whole trees
//	quota                a size limit on one folder (project quota)
//	driver/...           the six drivers, each laid out on disk as Docker lays it out
//	contract             one suite that all drivers must pass
//	image                names, images and layer chains above the drivers
//
// # What this is not
//
// There is no daemon: every process opens the store, does its work and leaves.
// So nothing here is remembered between calls but what is on disk, and a folder
// that is half made is known by its name (see stage.go).
//
// Further reading: mount(2), Documentation/filesystems/overlayfs.rst in the
// kernel's tree, btrfs-subvolume(8), zfs(8),
// Documentation/admin-guide/device-mapper/thin-provisioning.rst.
package unionfs
