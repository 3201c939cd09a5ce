package probe

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const reasonNeedsTrusted = "needs real root: in a user namespace overlayfs refuses this option"

// overlayOption mounts with one option and looks whether it is active.
// /sys/module/overlay/parameters tells the default of an option, not whether
// the kernel has it.
func overlayOption(s *stage, option string) Finding {
	if s.Userns {
		return Finding{State: Denied, Reason: reasonNeedsTrusted}
	}
	o := makeOverlay(s.fresh())
	f, err := o.mount(option)
	if err != nil {
		return f
	}
	defer o.unmount()
	name, _, _ := strings.Cut(option, "=")
	f = f.saw("file", "/proc/self/mountinfo", nil, mountedOption(o.merged, name))
	if check := map[string]func(overlay) Finding{"metacopy": metacopy, "redirect_dir": redirect}[name]; check != nil {
		return f.then(func() Finding { return check(o) })
	}
	return f
}

// mountedOption reads back what became of an option.
func mountedOption(point, name string) string {
	for _, m := range ownMounts() {
		if m.point != point {
			continue
		}
		for _, o := range strings.Split(m.super, ",") {
			if strings.Contains(o, name) {
				return o
			}
		}
	}
	return "not listed"
}

// metacopy changes the mode of a lower file: only its metadata may be copied up.
func metacopy(o overlay) Finding {
	err := os.Chmod(o.merged+"/file", 0o600)
	_, xerr := unix.Getxattr(o.upper+"/file", "trusted.overlay.metacopy", nil)
	return asked("chmod, getxattr(trusted.overlay.metacopy)", errors.Join(err, xerr),
		verdict{absent: []unix.Errno{unix.ENODATA}})
}

// redirect renames a lower folder. EXDEV, as if it were two file systems,
// means that the option is off.
func redirect(o overlay) Finding {
	err := unix.Rename(o.merged+"/dir", o.merged+"/renamed")
	return asked("rename(lower folder)", err, verdict{off: []unix.Errno{unix.EXDEV}})
}

// overlayDataOnly mounts a data-only layer: "::" before it, never merged, only
// looked into for file content.
func overlayDataOnly(s *stage, _ string) Finding {
	if s.Userns {
		return Finding{State: Denied, Reason: reasonNeedsTrusted}
	}
	o := makeOverlay(s.fresh())
	err := unix.Mount("overlay", o.merged, "overlay", 0, "metacopy=on,redirect_dir=on,lowerdir="+o.lower1+"::"+o.lower2)
	if err == nil {
		o.unmount()
	}
	return asked("mount(overlay, lowerdir=a::b)", err, verdict{absent: []unix.Errno{unix.EINVAL, unix.ENODEV}})
}

// overlayAppendedLayers gives the lower folders one by one, as the new mount
// API can: no limit of one page for all paths together.
func overlayAppendedLayers(s *stage, _ string) Finding {
	o := makeOverlay(s.fresh())
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return asked("fsopen(overlay)", err, verdict{absent: []unix.Errno{unix.ENODEV}})
	}
	defer unix.Close(fs)
	f := asked("fsconfig(lowerdir+)", errors.Join(
		unix.FsconfigSetString(fs, "lowerdir+", o.lower1), unix.FsconfigSetString(fs, "lowerdir+", o.lower2)), absentEINVAL)
	return f.then(func() Finding {
		if s.Userns {
			_ = unix.FsconfigSetFlag(fs, "userxattr")
		}
		_ = unix.FsconfigSetString(fs, "upperdir", o.upper)
		_ = unix.FsconfigSetString(fs, "workdir", o.work)
		return asked("fsconfig(CMD_CREATE)", unix.FsconfigCreate(fs), absentEINVAL)
	})
}

// overlayDetached uses layers by file descriptor, out of a tmpfs that is
// mounted nowhere.
func overlayDetached(s *stage, _ string) Finding {
	tmp, err := detachedTmpfs()
	if err != nil {
		return asked("fsmount(tmpfs)", err, verdict{})
	}
	defer unix.Close(tmp)
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return asked("fsopen(overlay)", err, verdict{absent: []unix.Errno{unix.ENODEV}})
	}
	defer unix.Close(fs)
	if s.Userns {
		_ = unix.FsconfigSetFlag(fs, "userxattr")
	}
	f := Finding{State: Yes}
	for _, layer := range []string{"lowerdir+", "upperdir", "workdir"} {
		dir, err := detachedDir(tmp, layer)
		if err == nil {
			err = unix.FsconfigSetFd(fs, layer, dir)
			unix.Close(dir)
		}
		if f = asked("fsconfig(FSCONFIG_SET_FD "+layer+")", err, absentEINVAL); f.State != Yes {
			return f
		}
	}
	return f.then(func() Finding { return asked("fsconfig(CMD_CREATE)", unix.FsconfigCreate(fs), absentEINVAL) })
}

// detachedTmpfs returns a tmpfs that no path leads to.
func detachedTmpfs() (int, error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
}

func detachedDir(parent int, name string) (int, error) {
	if err := unix.Mkdirat(parent, name, 0o755); err != nil {
		return -1, err
	}
	return unix.Openat(parent, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}
