package nsdemo

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Pin keeps the namespace of a process alive by bind-mounting its file on
// another, which is made for it: mount(2) with MS_BIND, as ip netns does
// (namespaces(7)). A mount namespace can be pinned only in one that is older, and
// only on a private mount (EINVAL). Take it off with Unpin.
func Pin(procRoot string, pid int, k Kind, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return fmt.Errorf("pin the %s namespace of process %d: %w", k, pid, err)
	}
	f.Close()
	source := k.File(procRoot, pid)
	if err := unix.Mount(source, file, "", unix.MS_BIND, ""); err != nil {
		err = fmt.Errorf("mount(%q, %q, MS_BIND): %w", source, file, err)
		return errors.Join(err, os.Remove(file))
	}
	return nil
}

// Unpin takes a pin off by umount2(2), and removes its file. The namespace ends
// when nothing else holds it. A pin that is not there is no error; a file that
// has content is not one of ours, and stays.
func Unpin(file string) error {
	err := unix.Unmount(file, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("umount2(%q, MNT_DETACH|UMOUNT_NOFOLLOW): %w", file, err)
	}
	info, err := os.Lstat(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != 0 {
		return fmt.Errorf("%s is no pinned namespace, nor the empty file below one", file)
	}
	return os.Remove(file)
}
