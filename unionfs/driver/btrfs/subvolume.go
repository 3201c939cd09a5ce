package btrfs

import (
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CreateSubvolume makes an empty subvolume name in the folder parent by
// BTRFS_IOC_SUBVOL_CREATE, see btrfs-subvolume(8).
func CreateSubvolume(parent, name string) error {
	var args volArgs
	copy(args.Name[:volNameMax], name)
	return at(parent, func(dir *os.File) error {
		return wrap(name, ioctl(dir, "BTRFS_IOC_SUBVOL_CREATE", iocSubvolCreate, unsafe.Pointer(&args)))
	})
}

// Snapshot makes a writable snapshot name of the subvolume source in the folder
// parent by BTRFS_IOC_SNAP_CREATE_V2, see btrfs-subvolume(8).
func Snapshot(source, parent, name string) error {
	src, err := os.Open(source)
	if err != nil {
		return err
	}
	defer src.Close()
	args := volArgsV2{Fd: int64(src.Fd())}
	copy(args.Name[:snapNameMax], name)
	return at(parent, func(dir *os.File) error {
		return wrap(name, ioctl(dir, "BTRFS_IOC_SNAP_CREATE_V2 of "+source, iocSnapCreateV2, unsafe.Pointer(&args)))
	})
}

// DeleteSubvolume unlinks the subvolume name from the folder parent by
// BTRFS_IOC_SNAP_DESTROY, see btrfs-subvolume(8). Its blocks are freed in the
// background. Subvolumes inside of it are deleted first, for the kernel answers
// ENOTEMPTY otherwise: a container may make some where it has the right to.
func DeleteSubvolume(parent, name string) error {
	if err := deleteNested(filepath.Join(parent, name)); err != nil {
		return err
	}
	var args volArgs
	copy(args.Name[:volNameMax], name)
	return at(parent, func(dir *os.File) error {
		return wrap(name, ioctl(dir, "BTRFS_IOC_SNAP_DESTROY", iocSnapDestroy, unsafe.Pointer(&args)))
	})
}

// deleteNested looks for folders that are subvolume roots.
func deleteNested(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		sub := filepath.Join(dir, e.Name())
		is, err := IsSubvolume(sub)
		if err != nil {
			return err
		}
		if is {
			err = DeleteSubvolume(dir, e.Name())
		} else {
			err = deleteNested(sub)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// IsSubvolume says whether dir is the root of a subvolume: only those have the
// inode number 256 (BTRFS_FIRST_FREE_OBJECTID) on a btrfs.
func IsSubvolume(dir string) (bool, error) {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return false, fmt.Errorf("lstat %s: %w", dir, err)
	}
	return st.Ino == firstFree && st.Mode&unix.S_IFMT == unix.S_IFDIR, nil
}

func at(folder string, do func(*os.File) error) error {
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	return do(dir)
}

func wrap(name string, err error) error {
	if err != nil {
		return fmt.Errorf("subvolume %s: %w", name, err)
	}
	return nil
}
