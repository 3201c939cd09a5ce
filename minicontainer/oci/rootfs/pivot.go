package rootfs

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Pivot makes the tree "/" and lets the old root go (pivot_root(2)).
//
// pivot_root(".", ".") stacks the old root on top of the new one, at the same
// place: no folder in the container has to be found or made for it. The old
// root is then unmounted from there, lazily, as the host's mounts below it are
// in use by the host.
func (r *Root) Pivot() error {
	old, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the old root: %w", err)
	}
	defer unix.Close(old)
	if err := unix.Fchdir(int(r.dir.Fd())); err != nil {
		return fmt.Errorf("fchdir to the new root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root(., .): %w", err)
	}
	return leave(old)
}

// Propagate sets the root's own propagation. It cannot come earlier:
// pivot_root refuses a shared root, and from an unbindable one no path can be
// bound onto itself to make it read-only.
func (r *Root) Propagate(word string) error {
	if word == "" {
		return nil // the clone has been a slave since it was made
	}
	p, err := ParsePropagation(word)
	if err != nil {
		return err
	}
	return SetPropagation(r.dir, p)
}

// leave unmounts the old root and steps into the new one.
func leave(old int) error {
	if err := unix.Fchdir(old); err != nil {
		return fmt.Errorf("fchdir to the old root: %w", err)
	}
	// Slave again: the unmounting below must never reach the host.
	if err := unix.Mount("", ".", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount . MS_SLAVE|MS_REC: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("umount2(., MNT_DETACH): %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("chdir to the new root: %w", err)
	}
	return nil
}
