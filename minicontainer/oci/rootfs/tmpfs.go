package rootfs

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// dressTmpfs gives a new tmpfs what it covers: the mode of the folder, unless
// the options name one, and with tmpcopyup its contents too.
func dressTmpfs(tree, target *os.File, p Plan) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(target.Fd()), &st); err != nil {
		return err
	}
	// An fsmount descriptor is O_PATH: chmod needs the folder opened anew.
	top, err := reopen(tree)
	if err != nil {
		return err
	}
	defer top.Close()
	if !p.hasData("mode") {
		if err := unix.Fchmod(int(top.Fd()), st.Mode&0o7777); err != nil {
			return fmt.Errorf("fchmod tmpfs: %w", err)
		}
	}
	if p.CopyUp {
		return copyUp(target, top)
	}
	return nil
}

func (p Plan) hasData(key string) bool {
	for _, d := range p.Data {
		if strings.HasPrefix(d, key+"=") {
			return true
		}
	}
	return false
}

func reopen(f *os.File) (*os.File, error) {
	fd, err := unix.Openat(int(f.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: f.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// copyUp copies a folder's contents into another one. os.Root resolves every
// step below the folder, so a symlink in the image leads nowhere else.
func copyUp(from, to *os.File) error {
	src, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", from.Fd()))
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", to.Fd()))
	if err != nil {
		return err
	}
	defer dst.Close()
	return fs.WalkDir(src.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		return copyEntry(src, dst, name)
	})
}

// copyEntry copies one folder, file or symlink with its mode and owner.
func copyEntry(src, dst *os.Root, name string) error {
	info, err := src.Lstat(name)
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		err = dst.Mkdir(name, 0o700)
	case mode&fs.ModeSymlink != 0:
		var target string
		if target, err = src.Readlink(name); err == nil {
			err = dst.Symlink(target, name)
		}
	case mode.IsRegular():
		var data []byte
		if data, err = src.ReadFile(name); err == nil {
			err = dst.WriteFile(name, data, 0o600)
		}
	default:
		return nil // a device, socket or pipe has no contents to copy
	}
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	if err := dst.Lchown(name, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	return dst.Chmod(name, info.Mode()) // after chown, which clears setuid
}
