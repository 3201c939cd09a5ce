// Package devicemapper keeps one thin block device per layer, in a pool that
// gives out 64 KiB blocks on first write. A layer on top of another begins as a
// thin snapshot of it: the same blocks, until one side writes.
//
//	devicemapper/devicemapper/{data,metadata}   the pool's two files (loop-lvm)
//	devicemapper/metadata/base                  the empty file system that all begin with
//	devicemapper/metadata/<id>                  {"device_id":7,"size":...,"transaction_id":12,"initialized":false}
//	devicemapper/metadata/transaction-metadata  what is being done, for after a crash
//	devicemapper/mnt/<id>/rootfs/               the layer's tree, while mounted
//
//	base 1 --create_snap--> layer 2 --create_snap--> layer 3 --create_snap--> container 4
//
// File systems know nothing of layers here: each device holds a whole ext4 or
// XFS, so a difference is found by comparing trees (package treediff), and the
// first write to a large file costs one block, not the file.
//
// The device-mapper calls themselves are given as a Pool, so that this package
// says what a layer is and another one how a thin device is made.
//
// Kernel text: Documentation/admin-guide/device-mapper/thin-provisioning.rst.
package devicemapper
