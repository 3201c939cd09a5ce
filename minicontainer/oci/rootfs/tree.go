package rootfs

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// CloneTree clones the mount at path into a detached one (open_tree(2),
// OPEN_TREE_CLONE): a bind mount that is in no namespace yet.
func CloneTree(path string, recursive bool) (*os.File, error) {
	return cloneAt(unix.AT_FDCWD, path, recursive)
}

func cloneAt(dir int, path string, recursive bool) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	fd, err := unix.OpenTree(dir, path, flags)
	if err != nil {
		return nil, &os.PathError{Op: "open_tree(OPEN_TREE_CLONE)", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// attach puts a detached mount onto an opened place (move_mount(2)).
func attach(tree, target *os.File) error {
	flags := unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	if err := unix.MoveMount(int(tree.Fd()), "", int(target.Fd()), "", flags); err != nil {
		return fmt.Errorf("move_mount onto %s: %w", target.Name(), err)
	}
	return nil
}

// setAttr changes the attributes of a mount (mount_setattr(2)).
func setAttr(tree *os.File, set, clear uint64, recursive bool) error {
	if set|clear == 0 {
		return nil
	}
	return setattr(tree, &unix.MountAttr{Attr_set: set, Attr_clr: clear}, recursive)
}

// SetPropagation changes how a mount relates to its peers (mount_setattr(2)).
func SetPropagation(tree *os.File, p Propagation) error {
	return setattr(tree, &unix.MountAttr{Propagation: p.Type}, p.Recursive)
}

// SetIDMap shows the files of a detached mount with other owners
// (mount_setattr(2), MOUNT_ATTR_IDMAP). users is a user namespace.
func SetIDMap(tree, users *os.File, recursive bool) error {
	return setattr(tree, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users.Fd())}, recursive)
}

func setattr(tree *os.File, a *unix.MountAttr, recursive bool) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	if err := unix.MountSetattr(int(tree.Fd()), "", flags, a); err != nil {
		return fmt.Errorf("mount_setattr %s set=%#x clear=%#x propagation=%#x recursive=%t: %w",
			tree.Name(), a.Attr_set, a.Attr_clr, a.Propagation, recursive, err)
	}
	return nil
}
