package btrfs

import (
	"bytes"
	"fmt"
	"os"
	"unsafe"
)

// Subvolume is what the kernel knows of one subvolume's place among the others.
type Subvolume struct {
	ID         uint64 // the number of its tree
	Name       string // in the folder that it stands in; "" for the file system's top
	UUID       string // such as 1b4e28ba-2fa1-11d2-883f-0016d3cca427
	ParentUUID string // of the subvolume that it is a snapshot of, "" for none
	Generation uint64 // the transaction that wrote to it last
	Made       uint64 // the transaction that made it
}

// ReadSubvolume asks BTRFS_IOC_GET_SUBVOL_INFO (Linux 4.18) about the subvolume
// that dir lies in, as btrfs-subvolume(8) show does. It needs no privilege.
func ReadSubvolume(dir string) (Subvolume, error) {
	var args subvolInfo
	err := at(dir, func(f *os.File) error {
		return ioctl(f, "BTRFS_IOC_GET_SUBVOL_INFO", iocSubvolInfo, unsafe.Pointer(&args))
	})
	if err != nil {
		return Subvolume{}, err
	}
	name, _, _ := bytes.Cut(args.Name[:], []byte{0})
	return Subvolume{
		ID: args.Tree, Name: string(name), UUID: uuid(args.UUID), ParentUUID: uuid(args.ParentUUID),
		Generation: args.Generation, Made: args.OTransid,
	}, nil
}

// uuid writes an id as btrfs(8) does; all zeroes stand for none.
func uuid(id [16]byte) string {
	if id == [16]byte{} {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
