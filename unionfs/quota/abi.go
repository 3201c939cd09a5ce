package quota

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From <linux/fs.h>, <linux/quota.h> and <linux/dqblk_xfs.h>; x/sys has none of
// these for quotactl_fd.
const (
	fsIocFsGetXattr   = 0x801c581f // _IOR('X', 31, struct fsxattr)
	fsIocFsSetXattr   = 0x401c5820 // _IOW('X', 32, struct fsxattr)
	xflagProjInherit  = 0x200
	prjQuota          = 2
	qGetInfo          = 0x800005
	qGetQuota         = 0x800007
	qSetQuota         = 0x800008
	qXGetQStatV       = 'X'<<8 + 8
	qifBLimits        = 1
	xfsQuotaPdqEnfd   = 1 << 5
	blockSize         = 1024 // Q_SETQUOTA counts limits in KiB
	firstProject      = 0x4000_0000
	projectsToTry     = 1 << 16
	subcommandShift   = 8
	quotaStatVVersion = 1
)

// fsxattr is struct fsxattr.
type fsxattr struct {
	Xflags, ExtSize, Nextents, Projid, CowExtSize uint32
	_                                             [8]byte
}

// dqblk is struct if_dqblk.
type dqblk struct {
	BHard, BSoft, Space  uint64
	IHard, ISoft, Inodes uint64
	BTime, ITime         uint64
	Valid                uint32
	_                    uint32
}

// quotactl calls quotactl_fd(2) for project quota.
func quotactl(dir *os.File, cmd int, name string, id uint32, addr unsafe.Pointer) error {
	_, _, errno := unix.Syscall6(unix.SYS_QUOTACTL_FD, dir.Fd(),
		uintptr(uint32(cmd)<<subcommandShift|prjQuota), uintptr(id), uintptr(addr), 0, 0)
	if errno != 0 {
		return fmt.Errorf("quotactl_fd %s %s PRJQUOTA project %d: %w", dir.Name(), name, id, errno)
	}
	return nil
}

func getXattr(dir *os.File) (fsxattr, error) {
	var x fsxattr
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), fsIocFsGetXattr, uintptr(unsafe.Pointer(&x)))
	if errno != 0 {
		return x, fmt.Errorf("ioctl %s FS_IOC_FSGETXATTR: %w", dir.Name(), errno)
	}
	return x, nil
}

func setXattr(dir *os.File, x fsxattr) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), fsIocFsSetXattr, uintptr(unsafe.Pointer(&x)))
	if errno != 0 {
		return fmt.Errorf("ioctl %s FS_IOC_FSSETXATTR project %d: %w", dir.Name(), x.Projid, errno)
	}
	return nil
}
