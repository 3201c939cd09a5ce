package aufs

import (
	"fmt"
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
	defer unix.Close(in)
	flags := unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY | unix.O_CLOEXEC
	out, err := unix.Openat(j.to.orph, j.tmp, flags, j.st.Mode&0o777)
	if err != nil {
		return err
	}
	defer unix.Close(out)
	size := min(j.st.Size, j.upTo)
	if size == 0 {
		return nil // a new file is empty, and an untouched one keeps its times
	}
	if j.to.clone(out, in) {
		return unix.Ftruncate(out, size)
	}
	if dense := j.st.Blocks*512 >= j.st.Size; dense {
		return copySpan(out, in, 0, size)
	}
	return copyHoles(out, in, size)
}

// openQuiet opens a source without touching its access time, where that is
// allowed (to its owner and to root).
func openQuiet(s spot) (int, error) {
	flags := unix.O_RDONLY | unix.O_CLOEXEC | s.openNofollow()
	fd, err := unix.Openat(s.dirfd, s.path, flags|unix.O_NOATIME, 0)
	if err == unix.EPERM {
		fd, err = unix.Openat(s.dirfd, s.path, flags, 0)
	}
	return fd, err
}

// clone lets the file system share the extents (FICLONE), which makes the copy
// free. A branch that cannot is not asked again.
func (b *branch) clone(out, in int) bool {
	if b.noClone.Load() {
		return false
	}
	err := unix.IoctlFileClone(out, in)
	if err == unix.EOPNOTSUPP || err == unix.ENOTTY {
		b.noClone.Store(true)
	}
	return err == nil
}

// copyHoles copies the pieces that hold data, and leaves out the holes.
func copyHoles(out, in int, size int64) error {
	for pos := int64(0); pos < size; {
		data, err := unix.Seek(in, pos, unix.SEEK_DATA)
		if err == unix.ENXIO || data >= size {
			break // only a hole is left
		}
		if err != nil {
			data = pos // a file system that knows no holes
		}
		end, err := unix.Seek(in, data, unix.SEEK_HOLE)
		if err != nil || end > size {
			end = size
		}
		if err := copySpan(out, in, data, end); err != nil {
			return err
		}
		pos = end
	}
	return unix.Ftruncate(out, size)
}

// copySpan copies one piece, in the kernel where both ends allow it.
func copySpan(out, in int, from, to int64) error {
	for from < to {
		roff, woff := from, from
		n, err := unix.CopyFileRange(in, &roff, out, &woff, int(min(to-from, 1<<30)), 0)
		if err == unix.ENOSPC || err == unix.EDQUOT || err == unix.EIO {
			return err
		}
		if err != nil || n == 0 {
			return copyThrough(out, in, from, to)
		}
		from += int64(n)
	}
	return nil
}

// copyThrough copies through memory, for file systems that do not copy.
func copyThrough(out, in int, from, to int64) error {
	buf := make([]byte, min(to-from, 1<<20))
	for from < to {
		n, err := unix.Pread(in, buf[:min(to-from, int64(len(buf)))], from)
		if n <= 0 || err != nil {
			return err // the file became shorter behind our back
		}
		if _, err := pwriteAll(out, buf[:n], from); err != nil {
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
	if int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid() {
		if err := unix.Fchownat(b.orph, tmp, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
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
