package volumedemo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/internal/inside"
)

// Attach puts a mount into a root, in the caller's mount namespace: open_tree(2)
// or fsopen(2) makes it, in no namespace yet; mount_setattr(2) gives it its flags;
// move_mount(2) puts it in place. So nobody ever sees it half made, and between
// finding the place and using it nobody can put a symlink there: both ends are
// descriptors. What is missing at the place is made: a folder, or for a file an
// empty file. Needs Linux 5.12 and CAP_SYS_ADMIN.
func Attach(root string, m specs.Mount) error {
	a, err := planAttach(m)
	if err != nil {
		return err
	}
	tree, err := detached(m, a)
	if err != nil {
		return err
	}
	defer tree.Close()
	info, err := tree.Stat()
	if err != nil {
		return err
	}
	place, err := openPlace(root, m.Destination, info.IsDir())
	if err != nil {
		return err
	}
	defer place.Close()
	if err := alike(info, place, m); err != nil {
		return err
	}
	flags := unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	if err := unix.MoveMount(int(tree.Fd()), "", int(place.Fd()), "", flags); err != nil {
		return fmt.Errorf("move_mount(%s on %s in %s): %w", m.Source, m.Destination, root, err)
	}
	return nil
}

// alike says what the kernel says with a bare EINVAL.
func alike(source fs.FileInfo, place *os.File, m specs.Mount) error {
	info, err := place.Stat()
	if err == nil && info.IsDir() != source.IsDir() {
		err = fmt.Errorf("mount %s on %s: one is a folder and the other is not: %w", m.Source, m.Destination, unix.ENOTDIR)
	}
	return err
}

// detached is the mount in no namespace: it ends with its last descriptor.
func detached(m specs.Mount, a attachment) (*os.File, error) {
	if !a.bind {
		return newFilesystem(m, a)
	}
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if a.recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, m.Source, flags)
	if err != nil {
		return nil, &os.PathError{Op: "open_tree(OPEN_TREE_CLONE)", Path: m.Source, Err: err}
	}
	tree := os.NewFile(uintptr(fd), m.Source)
	err = setAttr(tree, unix.MountAttr{Attr_set: a.set}, false)
	if err == nil {
		err = setAttr(tree, unix.MountAttr{Attr_set: a.setBelow}, true)
	}
	if err == nil {
		err = setAttr(tree, unix.MountAttr{Propagation: a.propagation}, a.propagateBelow)
	}
	if err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	return tree, nil
}

func setAttr(tree *os.File, attr unix.MountAttr, recursive bool) error {
	if attr == (unix.MountAttr{}) {
		return nil
	}
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	if err := unix.MountSetattr(int(tree.Fd()), "", flags, &attr); err != nil {
		return fmt.Errorf("mount_setattr(%s, set %#x, propagation %#x, recursive %t): %w", tree.Name(), attr.Attr_set, attr.Propagation, recursive, err)
	}
	return nil
}

// newFilesystem makes one by fsopen(2), fsconfig(2) and fsmount(2).
func newFilesystem(m specs.Mount, a attachment) (*os.File, error) {
	ctx, err := unix.Fsopen(m.Type, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen(%s): %w", m.Type, err)
	}
	defer unix.Close(ctx)
	for _, d := range append([][2]string{{"source", m.Source}}, a.data...) {
		if err := unix.FsconfigSetString(ctx, d[0], d[1]); err != nil {
			return nil, fmt.Errorf("fsconfig(%s, %s=%s): %w", m.Type, d[0], d[1], err)
		}
	}
	if err := unix.FsconfigCreate(ctx); err != nil {
		return nil, fmt.Errorf("fsconfig(%s, create): %w", m.Type, err)
	}
	fd, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, int(a.set))
	if err != nil {
		return nil, fmt.Errorf("fsmount(%s, attributes %#x): %w", m.Type, a.set, err)
	}
	return os.NewFile(uintptr(fd), m.Type), nil
}

// openPlace opens the mount point, and makes it where it is not. os.Root makes
// folders without following anything out of the root.
func openPlace(root, destination string, isDir bool) (*os.File, error) {
	place, err := openIn(root, destination)
	if !errors.Is(err, fs.ErrNotExist) {
		return place, err
	}
	tree, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	name := strings.TrimLeft(path.Clean(destination), "/")
	if isDir {
		err = tree.MkdirAll(name, 0o755)
	} else if err = tree.MkdirAll(path.Dir(name), 0o755); err == nil {
		var f *os.File
		if f, err = tree.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make the mount point %s: %w", destination, err)
	}
	return openIn(root, destination)
}

type attachRequest struct {
	Root  string
	Mount specs.Mount
}

func init() {
	inside.Register("volume.attach", func(_ context.Context, args json.RawMessage) (any, error) {
		var r attachRequest
		if err := json.Unmarshal(args, &r); err != nil {
			return nil, err
		}
		return nil, Attach(r.Root, r.Mount)
	})
}

// AttachIn is Attach in the mount namespace of a helper, see package inside.
func AttachIn(ctx context.Context, h *inside.Helper, root string, m specs.Mount) error {
	return h.Call(ctx, "volume.attach", attachRequest{root, m}, nil)
}
