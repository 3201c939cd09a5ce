// Package zfs keeps one ZFS dataset (file system) per layer. A layer on top of
// another is a clone of a snapshot of it; blocks are shared until written.
//
//	zfs snapshot POOL/base@top      the state of base, frozen
//	zfs clone POOL/base@top POOL/top
//	zfs destroy -d POOL/base@top    goes away by itself when the clone does
//
//	zfs/graph/<id>/                 where the dataset of a layer is mounted
//
// ZFS is driven through its commands zfs(8) and zpool(8), as Docker does: its
// ioctls are no stable interface. That also makes the kernel module and Debian's
// zfs-fuse alike. With zfs-fuse it is the daemon that mounts, in the daemon's
// own mount namespace, so a layer only shows up for us if we share that one.
//
// What Docker does otherwise: it sets mountpoint=legacy and calls mount(2) itself,
// which zfs-fuse does not offer.
//
// Man pages: zfs(8), zpool(8), zfs-fuse(8).
package zfs
