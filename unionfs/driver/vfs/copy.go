package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// CopyTree copies the tree below from into the existing folder to: owners,
// modes, times, attributes, hard links, holes, devices, sockets and fifos.
func CopyTree(from, to string) error {
	c := &copier{from: from, to: to, links: make(map[uint64]string)}
	if err := filepath.WalkDir(from, c.visit); err != nil {
		return fmt.Errorf("copy %s to %s: %w", from, to, err)
	}
	// Folders' times last, deepest first: making an entry changes its folder's.
	for i := len(c.folders) - 1; i >= 0; i-- {
		if err := setTimes(c.folders[i].path, c.folders[i].st); err != nil {
			return err
		}
	}
	return nil
}

type copier struct {
	from, to string
	links    map[uint64]string // inode -> the copy that was made of it
	folders  []folder
}

type folder struct {
	path string
	st   *syscall.Stat_t
}

func (c *copier) visit(path string, e fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	fi, err := e.Info()
	if err != nil {
		return err
	}
	rel, _ := filepath.Rel(c.from, path)
	target, st := filepath.Join(c.to, rel), fi.Sys().(*syscall.Stat_t)
	if st.Nlink > 1 && !fi.IsDir() {
		if first, ok := c.links[st.Ino]; ok {
			return os.Link(first, target)
		}
		c.links[st.Ino] = target
	}
	if err := c.make(path, target, fi, st); err != nil {
		return err
	}
	if fi.IsDir() {
		c.folders = append(c.folders, folder{target, st})
		return nil
	}
	return setTimes(target, st)
}

// make creates target with owner, mode and attributes.
func (c *copier) make(path, target string, fi fs.FileInfo, st *syscall.Stat_t) error {
	var err error
	switch fi.Mode().Type() {
	case 0:
		err = copyFile(path, target)
	case fs.ModeDir:
		if target != c.to {
			err = os.Mkdir(target, 0o700)
		}
	case fs.ModeSymlink:
		var to string
		if to, err = os.Readlink(path); err == nil {
			err = os.Symlink(to, target)
		}
	default: // devices, fifos, sockets: mknod(2) makes them all
		err = unix.Mknod(target, st.Mode, int(st.Rdev))
	}
	if err != nil {
		return err
	}
	if err := os.Lchown(target, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if fi.Mode().Type() != fs.ModeSymlink { // chmod(2) would follow it
		if err := unix.Chmod(target, st.Mode&0o7777); err != nil {
			return fmt.Errorf("chmod %s: %w", target, err)
		}
	}
	return copyXattrs(path, target)
}

// copyFile shares the blocks where the file system can, and otherwise copies
// what is not a hole.
func copyFile(path, target string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) == nil {
		return nil
	}
	return copyData(in, out)
}

// copyData walks the data runs with lseek(2) SEEK_DATA and SEEK_HOLE and moves
// them with copy_file_range(2), inside the kernel.
func copyData(in, out *os.File) error {
	fi, err := in.Stat()
	if err != nil {
		return err
	}
	ifd, ofd := int(in.Fd()), int(out.Fd())
	for pos := int64(0); pos < fi.Size(); {
		start, err := unix.Seek(ifd, pos, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // only a hole from here to the end
		}
		if err != nil {
			return fmt.Errorf("lseek %s SEEK_DATA: %w", in.Name(), err)
		}
		end, err := unix.Seek(ifd, start, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("lseek %s SEEK_HOLE: %w", in.Name(), err)
		}
		if err := copyRun(ifd, ofd, start, end); err != nil {
			return fmt.Errorf("copy %s: %w", in.Name(), err)
		}
		pos = end
	}
	return out.Truncate(fi.Size())
}

func copyRun(ifd, ofd int, start, end int64) error {
	roff, woff := start, start
	for roff < end {
		n, err := unix.CopyFileRange(ifd, &roff, ofd, &woff, int(min(end-roff, 1<<30)), 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("copy_file_range: %w", err)
		}
		if n == 0 {
			return fmt.Errorf("copy_file_range: file ended %d bytes early", end-roff)
		}
	}
	return nil
}

func copyXattrs(path, target string) error {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("llistxattr %s: %w", path, err)
	}
	value := make([]byte, 64<<10)
	for _, attr := range strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == 0 }) {
		m, err := unix.Lgetxattr(path, attr, value)
		if err != nil {
			return fmt.Errorf("lgetxattr %s %s: %w", path, attr, err)
		}
		if err := unix.Lsetxattr(target, attr, value[:m], 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("lsetxattr %s %s: %w", target, attr, err)
		}
	}
	return nil
}

func setTimes(path string, st *syscall.Stat_t) error {
	times := []unix.Timespec{{Sec: st.Atim.Sec, Nsec: st.Atim.Nsec}, {Sec: st.Mtim.Sec, Nsec: st.Mtim.Nsec}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("utimensat %s: %w", path, err)
	}
	return nil
}

// Reflink tries ioctl(2) FICLONE between two files without names in dir.
func Reflink(dir string) error {
	var fds [2]int
	for i := range fds {
		fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return fmt.Errorf("open %s O_TMPFILE: %w", dir, err)
		}
		defer unix.Close(fd)
		fds[i] = fd
	}
	if err := unix.IoctlFileClone(fds[0], fds[1]); err != nil {
		return fmt.Errorf("ioctl FICLONE below %s: %w", dir, err)
	}
	return nil
}
