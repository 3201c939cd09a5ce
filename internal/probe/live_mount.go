package probe

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// pivotRoot does what every container start does: the new root takes the place
// of the old one, which is then let go of.
func pivotRoot(s *stage, _ string) Finding {
	return onThread(func() Finding {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return asked("unshare(CLONE_NEWNS)", err, absentEINVAL)
		}
		dir := s.fresh()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			return asked("mount(tmpfs)", err, driver)
		}
		if err := unix.Chdir(dir); err != nil {
			return asked("chdir("+dir+")", err, verdict{})
		}
		// (".", ".") stacks the old root on the new one: no put_old folder is
		// needed, and one detach takes it away.
		f := asked(`pivot_root(".", ".")`, unix.PivotRoot(".", "."), absentEINVAL)
		if f.State == No {
			f.Reason = "the root of this mount namespace is the initramfs, which cannot be moved away"
		}
		return f.then(func() Finding {
			return asked(`umount2(".", MNT_DETACH)`, unix.Unmount(".", unix.MNT_DETACH), verdict{})
		})
	})
}

// mountProc mounts a new proc, as a container inside a container must. The
// kernel refuses that where something covers a part of the proc in sight,
// because a fresh one would uncover it.
func mountProc(s *stage, options string) Finding {
	call := "mount(proc)"
	if options != "" {
		call = "mount(proc, " + options + ")"
	}
	f := asked(call, unix.Mount("proc", s.fresh(), "proc", 0, options), absentEINVAL)
	if f.State == Denied {
		if over := coveredPaths(ownMounts(), "/proc/"); len(over) > 0 {
			return f.because("parts of /proc are covered by other mounts: " + strings.Join(over, " "))
		}
	}
	return f
}

// coveredPaths returns what is mounted below a folder, without what systemd
// mounts there on any machine.
func coveredPaths(mounts []mountLine, below string) []string {
	var list []string
	for _, m := range mounts {
		if strings.HasPrefix(m.point, below) && m.fstype != "binfmt_misc" && m.fstype != "autofs" {
			list = append(list, m.point)
		}
	}
	return list
}

// mountKind mounts a file system whose instances belong to a namespace.
// The argument is "type" or "type options".
func mountKind(s *stage, arg string) Finding {
	kind, options, _ := strings.Cut(arg, " ")
	return onThread(func() Finding {
		// mqueue belongs to the ipc namespace: in a user namespace only our own
		// one may be mounted.
		if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
			return asked("unshare(CLONE_NEWIPC)", err, absentEINVAL)
		}
		dir := s.fresh()
		err := unix.Mount(kind, dir, kind, 0, options)
		if err == nil {
			defer unix.Unmount(dir, unix.MNT_DETACH)
		}
		return asked("mount("+arg+")", err, driver)
	})
}

// registered asks whether the kernel knows a file system type.
// fsopen(2) answers that without a mount; before 5.2, mount(2) says ENODEV.
func registered(_ *stage, kind string) Finding {
	fd, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err == nil {
		unix.Close(fd)
	}
	if err == unix.ENOSYS {
		return onThread(func() Finding { return registeredOld(kind) })
	}
	return asked("fsopen("+kind+")", err, verdict{absent: []unix.Errno{unix.ENODEV}})
}

// xfsQuota looks for the file that XFS shows when it was built with quota
// (CONFIG_XFS_QUOTA). A module shows it once it is loaded, which the first
// question has seen to. Mounting an image would tell the same for more.
func xfsQuota(s *stage, _ string) Finding {
	return registered(s, "xfs").then(func() Finding {
		_, err := os.Stat("/proc/fs/xfs/xqm")
		return asked("stat(/proc/fs/xfs/xqm)", err, verdict{absent: []unix.Errno{unix.ENOENT}})
	})
}

// registeredOld mounts, in a mount namespace of this thread alone. Any answer
// but ENODEV means "registered": most cannot work, there is no device.
func registeredOld(kind string) Finding {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return asked("unshare(CLONE_NEWNS)", err, absentEINVAL)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return asked(`mount("", "/", MS_REC|MS_PRIVATE)`, err, verdict{}).because(reasonNotPrivate)
	}
	return asked("mount("+kind+")", unix.Mount("none", "/", kind, 0, ""), verdict{
		absent:  []unix.Errno{unix.ENODEV},
		present: []unix.Errno{unix.EINVAL, unix.ENOTBLK, unix.ENOENT, unix.EBUSY},
	})
}
