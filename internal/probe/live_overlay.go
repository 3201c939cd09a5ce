package probe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// overlayOnTmpfs tries overlayfs on the child's tmpfs. In a user namespace
// only the userxattr form can work.
func overlayOnTmpfs(s *stage, _ string) Finding {
	if s.Userns {
		return tryOverlay(s.fresh(), "userxattr")
	}
	return tryOverlay(s.fresh(), "")
}

// overlayOnState does the same on the file system that would really be used.
func overlayOnState(s *stage, _ string) Finding {
	if s.Scratch == "" {
		return Finding{State: Denied, Reason: reasonNoScratch}
	}
	if s.Userns {
		return tryOverlay(s.Scratch, "userxattr")
	}
	return tryOverlay(s.Scratch, "")
}

// overlayUserxattr runs in a user namespace. tmpfs keeps user.* attributes
// only since 6.6, so that a failure there is tried again on the state folder.
func overlayUserxattr(s *stage, _ string) Finding {
	f := tryOverlay(s.fresh(), "userxattr")
	if f.State == Yes || s.Scratch == "" {
		return f
	}
	dir := filepath.Join(s.Scratch, "userxattr")
	_ = os.Mkdir(dir, 0o755)
	second := tryOverlay(dir, "userxattr")
	second.Evidence = append(f.Evidence, second.Evidence...)
	return second
}

// Why overlayfs mounts and still cannot be used.
const (
	reasonNoWhiteout = "it mounts, but a deleted file left no whiteout in the upper folder"
	reasonNoOpaque   = "it mounts, but a folder that was removed and made again is not opaque"
	reasonRemoveEIO  = "it mounts, but removing a folder fails: the mark that hides the lower one cannot be written"
)

// An overlay is the set of folders of one test mount.
type overlay struct{ lower1, lower2, upper, work, merged string }

// makeOverlay lays the folders out below dir.
func makeOverlay(dir string) overlay {
	o := overlay{dir + "/l1", dir + "/l2", dir + "/upper", dir + "/work", dir + "/merged"}
	for _, d := range []string{o.lower1 + "/dir", o.lower2, o.upper, o.work, o.merged} {
		_ = os.MkdirAll(d, 0o755)
	}
	_ = os.WriteFile(o.lower1+"/file", []byte("lower"), 0o644)
	_ = os.WriteFile(o.lower1+"/dir/inner", []byte("lower"), 0o644)
	return o
}

// data returns the mount options.
func (o overlay) data(more string) string {
	d := fmt.Sprintf("lowerdir=%s:%s,upperdir=%s,workdir=%s", o.lower1, o.lower2, o.upper, o.work)
	if more != "" {
		d += "," + more
	}
	return d
}

// mount mounts it; the finding names the extra options only, the paths say nothing.
func (o overlay) mount(more string) (Finding, error) {
	err := unix.Mount("overlay", o.merged, "overlay", 0, o.data(more))
	call := "mount(overlay, 2 lower + upper)"
	if more != "" {
		call = "mount(overlay, 2 lower + upper, " + more + ")"
	}
	return asked(call, err, verdict{absent: []unix.Errno{unix.ENODEV, unix.EINVAL}}), err
}

func (o overlay) unmount() { _ = unix.Unmount(o.merged, unix.MNT_DETACH) }

// tryOverlay mounts and then deletes, because "the mount succeeded" is not
// "it works": what a delete leaves in the upper folder is what images need.
func tryOverlay(dir, options string) Finding {
	o := makeOverlay(dir)
	f, err := o.mount(options)
	if err != nil {
		return f
	}
	defer o.unmount()
	return f.then(func() Finding { return whiteout(o) }).then(func() Finding { return opaque(o, options) })
}

// whiteout deletes a lower file: a character device 0:0 must hide it.
func whiteout(o overlay) Finding {
	err := os.Remove(o.merged + "/file")
	f := asked("unlink(lower file)", err, verdict{absent: []unix.Errno{unix.EIO, unix.EPERM}})
	if err != nil {
		return f.because(reasonNoWhiteout)
	}
	var st unix.Stat_t
	if unix.Lstat(o.upper+"/file", &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0 {
		f.State = No
		return f.because(reasonNoWhiteout)
	}
	return f.with("upper has a character device 0:0")
}

// opaque removes a lower folder and makes it again: the old content must stay
// hidden, which takes an extended attribute on the new folder.
func opaque(o overlay, options string) Finding {
	err := errors.Join(os.RemoveAll(o.merged+"/dir"), os.Mkdir(o.merged+"/dir", 0o755))
	f := asked("rm -r, mkdir(lower folder)", err, verdict{absent: []unix.Errno{unix.EIO, unix.EOPNOTSUPP}})
	if err != nil {
		return f.because(reasonRemoveEIO)
	}
	name := "trusted.overlay.opaque"
	if options == "userxattr" {
		name = "user.overlay.opaque"
	}
	value := make([]byte, 8)
	n, err := unix.Getxattr(o.upper+"/dir", name, value)
	if err != nil || string(value[:n]) != "y" {
		f.State = No
		return f.saw("live", "getxattr("+name+")", err, "").because(reasonNoOpaque)
	}
	return f.saw("live", "getxattr("+name+")", nil, "y")
}
