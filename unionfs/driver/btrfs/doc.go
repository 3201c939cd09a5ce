// Package btrfs keeps one btrfs subvolume per layer. A layer on top of another
// begins as a snapshot of it: a new tree root that points at the same blocks,
// made in no time whatever the size. A write to either replaces blocks on the
// way from that leaf to its root only.
//
//	btrfs/subvolumes/<id>/      a subvolume: the layer's whole tree
//	btrfs/quotas/<id>           the size limit in bytes, where there is one
//
//	base   root ---> [ ... ][ ... ][ ... ]     snapshot: only the root is copied
//	top    root ------^-------^----> [new]     write: the path to one leaf
//
// Docker's driver mounts nothing: a subvolume is a folder. A difference is found
// by comparing trees (package treediff); unchanged files keep inode and ctime in
// a snapshot, so they are known by stat(2) alone.
//
// The ioctls are made by hand here, from <linux/btrfs.h>, because they are the
// lesson: BTRFS_IOC_SUBVOL_CREATE, SNAP_CREATE_V2, SNAP_DESTROY, QUOTA_CTL,
// QGROUP_LIMIT, TREE_SEARCH, GET_SUBVOL_INFO.
//
// Man pages: btrfs-subvolume(8), btrfs-quota(8), btrfs-ioctl(3).
package btrfs
