package dmthin

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DeviceSize is a block device's size in bytes (ioctl BLKGETSIZE64).
func DeviceSize(path string) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var size uint64
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKGETSIZE64, uintptr(unsafe.Pointer(&size))); errno != 0 {
		return 0, fmt.Errorf("ioctl(%s, BLKGETSIZE64): %w", path, errno)
	}
	return size, nil
}

// Discard tells a block device that a range of bytes is not needed (ioctl
// BLKDISCARD). A thin device gives whole blocks of it back to its pool, if no
// snapshot shares them.
func Discard(path string, offset, length uint64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	span := [2]uint64{offset, length}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKDISCARD, uintptr(unsafe.Pointer(&span))); errno != 0 {
		return fmt.Errorf("ioctl(%s, BLKDISCARD, %d, %d): %w", path, offset, length, errno)
	}
	return nil
}

// wipe zeroes the first 4 KiB, where a pool's superblock is: all zeros make the
// kernel write a new one, anything else must be a superblock.
func wipe(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, metadataBlock), 0)
	return errors.Join(err, f.Sync(), f.Close())
}

// MakeFileSystem makes an ext4 or xfs on a device (mkfs.ext4(8), mkfs.xfs(8)).
// Nothing is discarded first and nothing is left for the kernel to zero later: both
// would hide what the file system itself takes of a pool.
func MakeFileSystem(kind, device string) error {
	commands := map[string][]string{
		"ext4": {"mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", device},
		"xfs":  {"mkfs.xfs", "-q", "-f", "-K", device},
	}
	args, ok := commands[kind]
	if !ok {
		return fmt.Errorf("file system %q on %s: want ext4 or xfs: %w", kind, device, unix.EINVAL)
	}
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%q: %w: %s", args, err, out)
	}
	return nil
}
