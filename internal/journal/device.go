package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// detachLoop frees a loop device (ioctl LOOP_CLR_FD, loop(4)), but only while
// it still is on the file that we attached: the number may belong to somebody
// else by now. Without a device, every one that is on that file is freed: the
// kernel chose the number when it was attached, and the journal came before.
func detachLoop(device, backing string) error {
	devices := []string{device}
	if device == "" {
		devices = devices[:0]
		attached, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
		if err != nil {
			return err
		}
		for _, path := range attached {
			devices = append(devices, "/dev/"+strings.Split(path, "/")[3])
		}
	}
	var errs []error
	for _, d := range devices {
		if err := detachOne(d, backing); err != nil && !gone(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func detachOne(device, backing string) error {
	now, err := os.ReadFile("/sys/block/" + filepath.Base(device) + "/loop/backing_file")
	if err != nil {
		return err // not attached: fs.ErrNotExist, which is success
	}
	if !sameBacking(strings.TrimSpace(string(now)), backing) {
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

// sameBacking compares what the kernel says with the file that we attached.
// The kernel marks a file that was unlinked meanwhile, and forgets the folders
// above it when the mount namespace of the lab is gone. So only the end of the
// path is compared, from the part on that carries the run.
func sameBacking(now, ours string) bool {
	now = strings.TrimSuffix(now, " (deleted)")
	end := filepath.Base(ours)
	if at := strings.LastIndex(ours, "/cutaway-"); at >= 0 {
		end = ours[at+1:]
	}
	return now == end || strings.HasSuffix(now, "/"+end)
}

// removeDM removes a device-mapper device by name (ioctl DM_DEV_REMOVE,
// Documentation/admin-guide/device-mapper). Names of ours are unique to a run.
func removeDM(name string) error {
	return dmIoctl("DM_DEV_REMOVE", unix.DM_DEV_REMOVE, name)
}

// resumeDM lets a device work again that a dead process has left suspended
// (ioctl DM_DEV_SUSPEND without DM_SUSPEND_FLAG). Whoever writes to it, or
// unmounts it, would wait for ever, so this is undone before all else.
func resumeDM(name string) error {
	return dmIoctl("DM_DEV_SUSPEND", unix.DM_DEV_SUSPEND, name)
}

func dmIoctl(verb string, request uint, name string) error {
	f, err := os.OpenFile("/dev/mapper/control", os.O_RDWR, 0)
	if errors.Is(err, unix.ENODEV) {
		return unix.ENXIO // a node without the driver behind it: no device either
	}
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
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), uintptr(request), uintptr(unsafe.Pointer(&cmd))); errno != 0 {
		return fmt.Errorf("ioctl(%s, %s): %w", verb, name, errno)
	}
	return nil
}
