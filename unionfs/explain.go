package unionfs

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Unsupported says that this machine cannot do what a driver needs, which is
// another thing than having tried and failed.
type Unsupported struct {
	What   string // such as "driver btrfs" or "size limit"
	Reason string // what was looked at and found, with the path
	Remedy string // what the reader can do about it
}

func (u *Unsupported) Error() string {
	return fmt.Sprintf("%s is not supported here: %s (%s)", u.What, u.Reason, u.Remedy)
}

// Is lets errors.Is(err, errors.ErrUnsupported) find it.
func (u *Unsupported) Is(target error) bool { return target == errors.ErrUnsupported }

// Why returns the likely cause of an errno from a layer operation and what to
// do, "" where the errno speaks for itself.
func Why(err error) string {
	for _, w := range whys {
		if errors.Is(err, w.errno) {
			return w.text
		}
	}
	return ""
}

var whys = []struct {
	errno unix.Errno
	text  string
}{
	{unix.EDQUOT, "the layer reached its size limit (project quota); make room in it or create it with a larger size"},
	{unix.ENOSPC, "the disk below the state folder is full, or the layer reached its size limit; look at df and at `cutaway system df`"},
	{unix.ELOOP, "a path in the layer goes through a symbolic link where a folder was expected; nothing was written through it"},
	{unix.EXDEV, "a name leads out of the layer's tree, or a folder was renamed across layers (overlayfs asks the program to copy)"},
	{unix.EBUSY, "a process still has a file open or its working folder below the mount; `fuser -vm PATH` names it"},
	{unix.ESTALE, "upperdir or workdir belongs to another overlay mount, or lies on a file system without file handles"},
	{unix.ENODEV, "this kernel has no such file system; look at /proc/filesystems"},
	{unix.EPERM, "making device nodes and trusted.* attributes needs root outside of a user namespace"},
	{unix.EINVAL, "the kernel refused the mount options; `dmesg | tail` tells which one"},
}
