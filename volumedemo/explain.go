package volumedemo

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Why returns the likely cause of an errno from this package and what to do, ""
// where the errno speaks for itself.
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
	{unix.EROFS, "the mount is read-only (:ro, or readonly in --mount), or so is the file system behind it; leave the option out to write"},
	{unix.EBUSY, "something is mounted below the folder, or a process stands in it; findmnt -R and fuser -vm PATH name both"},
	{unix.ENOTDIR, "a file was to be mounted over a folder, or a folder over a file: the kernel mounts only like over like"},
	{unix.EXDEV, "a name leads out of the tree that it was to stay in; nothing was followed or written there"},
	{unix.ELOOP, "a symlink in the container's tree leads in a circle, or to a /proc link that can jump anywhere; it was not followed"},
	{unix.EPERM, "mounting takes CAP_SYS_ADMIN over the mount namespace; in a user namespace flags such as read-only that came with a mount cannot be taken off"},
	{unix.ENOSYS, "the kernel is older than 5.12, which brought mount_setattr(2)"},
	{unix.EINVAL, "the mount's propagation is unbindable, or the file system does not know an option; the kernel log says which"},
	{unix.ENOSPC, "the disk, or the tmpfs within its size, is full; or there are as many mounts as /proc/sys/fs/mount-max allows"},
	{unix.EDQUOT, "the owner's quota on the file system below the volumes is used up"},
}
