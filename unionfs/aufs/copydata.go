package aufs

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// copyObject makes the copy in the orphan folder, complete with owner, mode,
// extended attributes and times.
func (fs *FS) copyObject(j *job) (err error) {
	switch j.st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		err = copyFile(j)
	case unix.S_IFLNK:
		var to string
		if to, err = readlinkAt(j.src.dirfd, j.src.path); err == nil {
			err = unix.Symlinkat(to, j.to.orph, j.tmp)
		}
	default:
		err = unix.Mknodat(j.to.orph, j.tmp, j.st.Mode&unix.S_IFMT|0o600, int(j.st.Rdev))
	}
	if err != nil {
		return err
	}
	return copyMeta(j.src, &j.st, j.to, j.tmp)
}

func copyFile(j *job) error {
	in, err := openQuiet(j.src)
	if err != nil {
		return err
	}
	defer in.Close()
	fd, err := unix.Openat(j.to.orph, j.tmp, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	out := os.NewFile(uintptr(fd), j.tmp)
	defer out.Close()
	return copyData(out, in, min(j.st.Size, j.upTo))
}

// openQuiet opens a source without touching its access time, where that is
// allowed (to its owner and to root).
func openQuiet(s spot) (*os.File, error) {
	flags := unix.O_RDONLY | unix.O_CLOEXEC | s.openNofollow()
	fd, err := unix.Openat(s.dirfd, s.path, flags|unix.O_NOATIME, 0)
	if err == unix.EPERM {
		fd, err = unix.Openat(s.dirfd, s.path, flags, 0)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), s.path), nil
}

// copyData copies size bytes and keeps holes. A file system that can share
// extents does (FICLONE), which makes the copy free.
func copyData(out, in *os.File, size int64) error {
	if unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) == nil {
		return out.Truncate(size)
	}
	for pos := int64(0); pos < size; {
		data, err := unix.Seek(int(in.Fd()), pos, unix.SEEK_DATA)
		if err == unix.ENXIO || data >= size {
			break // only a hole is left
		}
		if err != nil {
			data = pos // a file system that knows no holes
		}
		end, err := unix.Seek(int(in.Fd()), data, unix.SEEK_HOLE)
		if err != nil || end > size {
			end = size
		}
		if err := copySpan(out, in, data, end); err != nil {
			return err
		}
		pos = end
	}
	if size == 0 {
		return nil // a new file is empty, and an untouched one keeps its times
	}
	return out.Truncate(size)
}

// copySpan copies one piece, in the kernel where both ends allow it.
func copySpan(out, in *os.File, from, to int64) error {
	for from < to {
		roff, woff := from, from
		n, err := unix.CopyFileRange(int(in.Fd()), &roff, int(out.Fd()), &woff, int(min(to-from, 1<<30)), 0)
		if err == unix.ENOSPC || err == unix.EDQUOT || err == unix.EIO {
			return err
		}
		if err != nil || n == 0 {
			_, err := io.Copy(io.NewOffsetWriter(out, from), io.NewSectionReader(in, from, to-from))
			return err
		}
		from += int64(n)
	}
	return nil
}

// copyMeta dresses the copy named tmp in b's orphan folder. The order matters:
// chown clears set-id bits and file capabilities, so mode and extended
// attributes follow it; everything touches the times, so they come last.
func copyMeta(src spot, st *unix.Stat_t, b *branch, tmp string) error {
	if err := unix.Fchownat(b.orph, tmp, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Fchmodat(b.orph, tmp, st.Mode&0o7777, 0); err != nil {
			return err
		}
	}
	if err := copyXattrs(src, b, tmp); err != nil {
		return err
	}
	ts := []unix.Timespec{st.Atim, st.Mtim}
	return unix.UtimesNanoAt(b.orph, tmp, ts, unix.AT_SYMLINK_NOFOLLOW)
}

// copyXattrs copies all extended attributes. One that the branch cannot store
// fails the copy-up, unless the branch has icex or the icex of its kind.
func copyXattrs(src spot, b *branch, tmp string) error {
	from := src.procPath()
	to := fmt.Sprintf("/proc/self/fd/%d/%s", b.orph, tmp)
	names, err := listXattrs(from, src.nameless)
	if err == unix.EOPNOTSUPP || err == unix.ENOTSUP {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		value, err := getXattr(from, name, src.nameless)
		if err == nil {
			err = unix.Lsetxattr(to, name, value, 0)
		}
		if err != nil && err != unix.ENODATA && !b.ignoresXattr(name) {
			return err
		}
	}
	return nil
}

func (b *branch) ignoresXattr(name string) bool {
	kind, _, _ := strings.Cut(name, ".")
	attr, ok := map[string]string{"security": "icexsec", "system": "icexsys", "trusted": "icextr", "user": "icexusr"}[kind]
	if !ok {
		attr = "icexoth"
	}
	return b.perm.Has("icex") || b.perm.Has(attr)
}
