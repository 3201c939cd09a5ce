package aufs

import (
	"errors"
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// explanations say why an errno is likely and what to do about it.
var explanations = sync.OnceValue(func() map[syscall.Errno]string {
	return map[syscall.Errno]string{
		unix.EINVAL: "an option or branch was refused. Branches are absolute paths of existing directories on a real file system, " +
			"none inside another; a path cannot hold : , or =. The kernel's own aufs gives the reason in dmesg.",
		unix.E2BIG:  "one mount call takes 83 branches. Mount with the first ones and add the others: remount -o append:PATH=ro.",
		unix.EEXIST: "the xino= file is there already. Remove it, or name another one.",
		unix.ENODEV: "the kernel has no FUSE (CONFIG_FUSE_FS): load it with modprobe fuse.",
		unix.ENOENT: "a path is missing: the mount point, the directory of xino=, or /dev/fuse (modprobe fuse; in a container, give it the device).",
		unix.EPERM:  "mounting takes root, or a user and mount namespace of your own: unshare -Urm, then try again.",
		unix.EACCES: "no right to open /dev/fuse or a branch directory.",
		unix.EBUSY:  "something is open there, or is a current directory. fuser -vm TARGET tells who.",
		unix.ENOSPC: "a union has at most 127 branches; or the writable branch is full.",
		unix.ENOTCONN: "the union's server is dead (killed?). Nothing is lost: umount TARGET, then mount again; " +
			"the next mount finishes what was half-done.",
	}
})

// Explain adds to an error why it is likely and what to do. errors.Is still
// finds the errno. nil stays nil.
func Explain(err error) error {
	var errno syscall.Errno
	if err == nil || !errors.As(err, &errno) || explanations()[errno] == "" {
		return err
	}
	return fmt.Errorf("%w\n  likely: %s", err, explanations()[errno])
}
