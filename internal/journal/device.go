package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// detachLoop frees a loop device (ioctl LOOP_CLR_FD, loop(4)), but only while
// it still is on the file that we attached: the number may belong to somebody
// else by now.
func detachLoop(device, backing string) error {
	now, err := os.ReadFile("/sys/block/" + filepath.Base(device) + "/loop/backing_file")
	if err != nil {
		return err // not attached: fs.ErrNotExist, which is success
	}
	// The kernel marks a file that was unlinked meanwhile, and forgets the
	// folders above it when the mount namespace of the lab is gone. So the name
	// alone is compared: a backing file's name carries its run.
	file := strings.TrimSuffix(strings.TrimSpace(string(now)), " (deleted)")
	if filepath.Base(file) != filepath.Base(backing) {
		return nil
	}
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), unix.LOOP_CLR_FD, 0); err != nil {
		return fmt.Errorf("ioctl(%s, LOOP_CLR_FD): %w", device, err)
	}
	return nil
}

// removeDM removes a device-mapper device by name (ioctl DM_DEV_REMOVE,
// Documentation/admin-guide/device-mapper). Names of ours are unique to a run.
func removeDM(name string) error {
	f, err := os.OpenFile("/dev/mapper/control", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var cmd unix.DmIoctl
	cmd.Version = [3]uint32{4, 0, 0}
	cmd.Data_size = uint32(unsafe.Sizeof(cmd))
	if len(name) >= len(cmd.Name) {
		return fmt.Errorf("device name %q is longer than %d bytes: %w", name, len(cmd.Name)-1, unix.EINVAL)
	}
	copy(cmd.Name[:], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.DM_DEV_REMOVE, uintptr(unsafe.Pointer(&cmd))); errno != 0 {
		return fmt.Errorf("ioctl(DM_DEV_REMOVE, %s): %w", name, errno)
	}
	return nil
}
