package btrfs

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A quota group (qgroup) counts the bytes of one subvolume twice: all that it
// refers to, and what no other subvolume refers to.

// EnableQuota turns counting on for the file system that dir lies on, by
// BTRFS_IOC_QUOTA_CTL, and waits until what is there is counted.
func EnableQuota(dir string) error {
	args := struct{ Cmd, Status uint64 }{Cmd: quotaEnable}
	return at(dir, func(f *os.File) error {
		if err := ioctl(f, "BTRFS_IOC_QUOTA_CTL ENABLE", iocQuotaCtl, unsafe.Pointer(&args)); err != nil {
			return err
		}
		return ioctl(f, "BTRFS_IOC_QUOTA_RESCAN_WAIT", iocQuotaWait, nil)
	})
}

// LimitSubvolume sets the most bytes that the subvolume may refer to, by
// BTRFS_IOC_QGROUP_LIMIT.
func LimitSubvolume(dir string, bytes uint64) error {
	args := limitArgs{Flags: limitMaxRfer, MaxRfer: bytes}
	return at(dir, func(f *os.File) error {
		return ioctl(f, fmt.Sprintf("BTRFS_IOC_QGROUP_LIMIT max_rfer=%d", bytes), iocQgroupLimit, unsafe.Pointer(&args))
	})
}

// Space is what a quota group says about one subvolume.
type Space struct {
	ID         uint64 // the subvolume's number
	Referenced uint64 // bytes that the subvolume refers to
	Exclusive  uint64 // bytes among them that nobody else refers to
	Limit      uint64 // most bytes it may refer to, 0 for none
}

// ReadSpace reads a subvolume's quota group back from the kernel's quota tree by
// BTRFS_IOC_TREE_SEARCH. fs.ErrNotExist (ENOENT) means that quota is off.
func ReadSpace(dir string) (Space, error) {
	var s Space
	err := at(dir, func(f *os.File) error {
		if err := sync(f); err != nil {
			return err
		}
		id, err := subvolumeID(f)
		if err != nil {
			return err
		}
		s.ID = id
		info, err := searchOne(f, quotaTree, 0, qgroupInfo, id)
		if err != nil {
			return err
		}
		// struct btrfs_qgroup_info_item: generation, rfer, rfer_cmpr, excl, excl_cmpr
		s.Referenced, s.Exclusive = le(info, 1), le(info, 3)
		limit, err := searchOne(f, quotaTree, 0, qgroupLimit, id)
		if err == nil && le(limit, 0)&limitMaxRfer != 0 {
			s.Limit = le(limit, 1) // struct btrfs_qgroup_limit_item: flags, max_rfer
		}
		return nil
	})
	return s, err
}

// sync writes dirty data out and commits: counts are only right afterwards.
func sync(f *os.File) error {
	return ioctl(f, "BTRFS_IOC_SYNC", iocSync, nil)
}

// subvolumeID asks BTRFS_IOC_INO_LOOKUP which tree the descriptor is in.
func subvolumeID(f *os.File) (uint64, error) {
	var args struct {
		Tree, Object uint64
		Name         [4080]byte
	}
	args.Object = firstFree
	err := ioctl(f, "BTRFS_IOC_INO_LOOKUP", iocInoLookup, unsafe.Pointer(&args))
	return args.Tree, err
}

// searchArgs is struct btrfs_ioctl_search_args: a key range and room for the
// items found.
type searchArgs struct {
	Tree                   uint64
	MinObject, MaxObject   uint64
	MinOffset, MaxOffset   uint64
	MinTransid, MaxTransid uint64
	MinType, MaxType       uint32
	Items                  uint32
	_                      [9]uint32
	Buf                    [searchBufSize]byte
}

// searchHeader is the size of struct btrfs_ioctl_search_header: transid, object,
// offset, type, len.
const searchHeader = 8 + 8 + 8 + 4 + 4

// searchOne finds the item with exactly this key.
func searchOne(f *os.File, tree, object uint64, typ uint32, offset uint64) ([]byte, error) {
	args := searchArgs{
		Tree: tree, MinObject: object, MaxObject: object, MinOffset: offset, MaxOffset: offset,
		MaxTransid: ^uint64(0), MinType: typ, MaxType: typ, Items: 1,
	}
	err := ioctl(f, fmt.Sprintf("BTRFS_IOC_TREE_SEARCH tree %d key (%d %d %d)", tree, object, typ, offset), iocTreeSearch, unsafe.Pointer(&args))
	if err != nil {
		return nil, err
	}
	if args.Items == 0 {
		return nil, fmt.Errorf("tree %d has no item (%d %d %d): %w", tree, object, typ, offset, unix.ENOENT)
	}
	n := binary.LittleEndian.Uint32(args.Buf[searchHeader-4:])
	return args.Buf[searchHeader : searchHeader+n], nil
}

// le reads the i-th little-endian 64-bit number of an item.
func le(item []byte, i int) uint64 {
	if len(item) < 8*i+8 {
		return 0
	}
	return binary.LittleEndian.Uint64(item[8*i:])
}
