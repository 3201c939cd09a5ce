package driver

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	union "cutaway/unionfs/aufs"
)

// aufsMounter mounts the layers of driver aufs by package unionfs/aufs: with the
// kernel's aufs where there is one, else with a server in user space. The server
// is a process of its own that lives as long as the mount does: longer than the
// command that mounted, and not a moment longer than the container.
//
// The program has to call Main of package unionfs/aufs.
type aufsMounter struct{}

// Mount is part of aufs.Mounter.
func (aufsMounter) Mount(target, options string) error {
	_, err := union.Mount(union.Spec{Options: options, Target: target})
	return union.Explain(err)
}

// Unmount is part of aufs.Mounter. What is mounted there may have been mounted
// by an earlier process.
func (aufsMounter) Unmount(target string) error {
	u, err := union.Find(target)
	if serverGone(err) {
		// The server was killed. The mount is still there, and answers nothing.
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("umount(%s, MNT_DETACH), whose server is gone: %w", target, err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	return u.Unmount()
}

// serverGone tells by what the kernel answers for a FUSE server that was killed:
// ECONNABORTED or EIO for a request that was under way, ENOTCONN afterwards.
func serverGone(err error) bool {
	return errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED) || errors.Is(err, unix.EIO)
}
