package probe

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// zfsDevice opens /dev/zfs: a node alone proves nothing.
func zfsDevice(*stage, string) Finding {
	fd, err := os.OpenFile("/dev/zfs", os.O_RDWR, 0)
	if err == nil {
		fd.Close()
	}
	return asked("open(/dev/zfs)", err, driver)
}

// toolsInPath looks for programs, all of them wanted.
func toolsInPath(_ *stage, names string) Finding {
	f := Finding{State: Yes}
	for _, name := range strings.Fields(names) {
		path, err := exec.LookPath(name)
		if err != nil {
			path, f.State, f.Reason = "not found", No, "not installed, or not in PATH"
		}
		f = f.saw("file", name, nil, path)
	}
	return f
}

const dmControl = "/dev/mapper/control"

// dmIoctl sends one device-mapper request. name and payload follow the header
// struct dm_ioctl of 312 bytes.
func dmIoctl(request uint, name string) ([]byte, error) {
	fd, err := os.OpenFile(dmControl, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer fd.Close()
	buf := make([]byte, 16384)
	h := (*unix.DmIoctl)(unsafe.Pointer(&buf[0]))
	h.Version = [3]uint32{4, 0, 0}
	h.Data_size, h.Data_start = uint32(len(buf)), uint32(unsafe.Sizeof(*h))
	copy(buf[48:48+127], name) // dm_ioctl.name
	_, _, e := unix.Syscall(unix.SYS_IOCTL, fd.Fd(), uintptr(request), uintptr(unsafe.Pointer(&buf[0])))
	return buf, errno(e)
}

// deviceMapper asks for the driver's version. The node can be there without a
// driver behind it: open then says ENODEV.
func deviceMapper(*stage, string) Finding {
	buf, err := dmIoctl(unix.DM_VERSION, "")
	f := asked("ioctl("+dmControl+", DM_VERSION)", err, driver)
	if err == nil {
		v := (*unix.DmIoctl)(unsafe.Pointer(&buf[0])).Version
		f = f.with(fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]))
	}
	return f
}

// deviceMapperTarget asks for one target; the kernel looks for a module
// dm-NAME first. Kernels before 5.3 do not know the request: there the list of
// loaded targets has to do.
func deviceMapperTarget(_ *stage, name string) Finding {
	_, err := dmIoctl(unix.DM_GET_TARGET_VERSION, name)
	if errors.Is(err, unix.ENOTTY) {
		buf, err := dmIoctl(unix.DM_LIST_VERSIONS, "")
		f := asked("ioctl("+dmControl+", DM_LIST_VERSIONS)", err, driver)
		if err == nil && !bytes.Contains(buf, append([]byte{0}, name+"\x00"...)) {
			f.State = No
		}
		return f
	}
	return asked("ioctl("+dmControl+", DM_GET_TARGET_VERSION "+name+")", err,
		verdict{absent: []unix.Errno{unix.ENODEV, unix.ENXIO, unix.ENOENT, unix.EINVAL}})
}

// loopDevice backs a loop device with a nameless megabyte of memory and reads
// a mark through it. AUTOCLEAR frees the device at the last close.
func loopDevice(*stage, string) Finding {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return asked("open(/dev/loop-control)", err, driver)
	}
	defer control.Close()
	for range 5 { // somebody else may take the free device before us
		f, busy := tryLoop(int(control.Fd()))
		if !busy {
			return f
		}
	}
	return Finding{State: Unknown, Reason: "every free loop device was taken by somebody else first"}
}

// tryLoop takes the free device that the kernel names. Asking for one may
// create it: then it is removed again.
func tryLoop(control int) (f Finding, busy bool) {
	before, _ := os.ReadDir("/sys/block")
	n, err := unix.IoctlRetInt(control, unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return asked("ioctl(LOOP_CTL_GET_FREE)", err, driver), false
	}
	name := "loop" + strconv.Itoa(n)
	existed := false
	for _, entry := range before {
		existed = existed || entry.Name() == name
	}
	if !existed {
		defer unix.IoctlSetInt(control, unix.LOOP_CTL_REMOVE, n)
	}
	device, err := os.OpenFile("/dev/"+name, os.O_RDWR, 0)
	if err != nil {
		return asked("open(/dev/"+name+")", err, driver), false
	}
	defer device.Close()
	err = configureLoop(int(device.Fd()))
	if errors.Is(err, unix.EBUSY) {
		return Finding{}, true
	}
	f = asked("ioctl(LOOP_CONFIGURE /dev/"+name+")", err, verdict{absent: []unix.Errno{unix.EINVAL, unix.ENOTTY}})
	return f.then(func() Finding {
		mark := make([]byte, 4)
		_, err := device.ReadAt(mark, 512)
		g := asked("pread(/dev/"+name+")", err, verdict{})
		if string(mark) != "mark" {
			g.State = No
		}
		return g
	}), false
}

// configureLoop attaches a memfd.
func configureLoop(device int) error {
	memory, err := unix.MemfdCreate("cutaway-probe", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(memory)
	if err := unix.Ftruncate(memory, 1<<20); err != nil {
		return err
	}
	if _, err := unix.Pwrite(memory, []byte("mark"), 512); err != nil {
		return err
	}
	config := unix.LoopConfig{Fd: uint32(memory)}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	return unix.IoctlLoopConfigure(device, &config)
}

// fuseMount opens /dev/fuse and mounts it: that works without a daemon behind
// it, as long as nobody looks inside.
func fuseMount(s *stage, _ string) Finding {
	fd, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return asked("open(/dev/fuse)", err, driver)
	}
	defer fd.Close()
	dir := s.fresh()
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", fd.Fd(), os.Getuid(), os.Getgid())
	err = unix.Mount("cutaway", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options)
	if err == nil {
		defer unix.Unmount(dir, unix.MNT_DETACH)
	}
	return asked("mount(fuse)", err, verdict{absent: []unix.Errno{unix.ENODEV}})
}

// tunDevice makes a tap device in the child's own net namespace.
func tunDevice(*stage, string) Finding {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return asked("open(/dev/net/tun)", err, driver)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("probe%d")
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	return asked("ioctl(TUNSETIFF)", err, absentEINVAL)
}
