package btrfs

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From <linux/btrfs.h>: _IOW(0x94, nr, struct).
const (
	iocSubvolCreate = 0x5000940e // 14, struct btrfs_ioctl_vol_args
	iocSnapDestroy  = 0x5000940f // 15, struct btrfs_ioctl_vol_args
	iocTreeSearch   = 0xd0009411 // 17, struct btrfs_ioctl_search_args
	iocInoLookup    = 0xd0009412 // 18, struct btrfs_ioctl_ino_lookup_args
	iocSnapCreateV2 = 0x50009417 // 23, struct btrfs_ioctl_vol_args_v2
	iocQuotaCtl     = 0xc0109428 // 40, struct btrfs_ioctl_quota_ctl_args
	iocQgroupLimit  = 0x8030942b // 43, struct btrfs_ioctl_qgroup_limit_args
	iocQuotaWait    = 0x0000942e // 46
	iocSync         = 0x00009408 // 8
	iocSubvolInfo   = 0x81f8943c // 60, _IOR, struct btrfs_ioctl_get_subvol_info_args
)

// Objects in the trees, <linux/btrfs_tree.h>.
const (
	quotaTree     = 8
	firstFree     = 256 // also the inode of every subvolume's root
	qgroupInfo    = 242
	qgroupLimit   = 244
	quotaEnable   = 1
	limitMaxRfer  = 1 << 0
	volNameMax    = 4087
	snapNameMax   = 4039
	searchBufSize = 4096 - 104
)

// volArgs is struct btrfs_ioctl_vol_args.
type volArgs struct {
	Fd   int64
	Name [volNameMax + 1]byte
}

// volArgsV2 is struct btrfs_ioctl_vol_args_v2.
type volArgsV2 struct {
	Fd      int64
	Transid uint64
	Flags   uint64
	_       [4]uint64
	Name    [snapNameMax + 1]byte
}

// limitArgs is struct btrfs_ioctl_qgroup_limit_args.
type limitArgs struct {
	Qgroup                           uint64 // 0: the subvolume of the descriptor
	Flags                            uint64
	MaxRfer, MaxExcl, RsvRfer, RsvEx uint64
}

// subvolInfo is struct btrfs_ioctl_get_subvol_info_args.
type subvolInfo struct {
	Tree                                   uint64
	Name                                   [256]byte
	ParentTree, Dir, Generation, Flags     uint64
	UUID, ParentUUID, ReceivedUUID         [16]byte
	CTransid, OTransid, STransid, RTransid uint64
	_                                      [4][2]uint64 // times, seconds and nanoseconds
	_                                      [8]uint64
}

// ioctl names its request in the error.
func ioctl(dir *os.File, name string, request uintptr, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), request, uintptr(arg))
	if errno != 0 {
		return fmt.Errorf("ioctl %s %s: %w", dir.Name(), name, errno)
	}
	return nil
}
