package aufs

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// branch is one stacked directory, held open: the paths below are relative to
// fd, so that a mount over the branch (even of the union itself) changes nothing.
type branch struct {
	id      int    // stays the same as long as the branch is in the union
	index   int    // 0 is the top; renumbered when branches come and go
	path    string // as the user named it, resolved
	perm    Perm
	fd      int    // O_PATH of the branch root
	orph    int    // the orphan folder of a rw branch, -1 otherwise
	dev     uint64 // file system and inode of the root, to find the same one again
	ino     uint64
	fs      unix.Fsid
	noClone atomic.Bool // FICLONE does not work here
}

// refusedFS are file systems that cannot be a branch.
var refusedFS = sync.OnceValue(func() map[int64]string {
	return map[int64]string{
		unix.PROC_SUPER_MAGIC:      "unsupported filesystem, %s (proc)",
		unix.SYSFS_MAGIC:           "unsupported filesystem, %s (sysfs)",
		unix.OVERLAYFS_SUPER_MAGIC: "already stacked, %s (overlay)",
		aufsMagic:                  "unsupported filesystem, %s (aufs)",
	}
})

const (
	aufsMagic = 0x61756673
	fuseMagic = 0x65735546
)

// openBranch opens the directory at path, seen from the root directory that
// prefix leads to, and checks that it can be a branch.
func openBranch(prefix, path string, perm Perm) (*branch, error) {
	fd, err := unix.Open(prefix+path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		// The module answers EINVAL for every path that it cannot use and
		// tells the true reason in the kernel log only.
		return nil, fmt.Errorf("lookup failed %s (%v): %w", path, err, unix.EINVAL)
	}
	b := &branch{path: path, perm: perm, fd: fd, orph: -1}
	if err := b.examine(prefix); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *branch) examine(prefix string) error {
	var st unix.Stat_t
	if err := unix.Fstat(b.fd, &st); err != nil {
		return fmt.Errorf("stat of branch %s: %w", b.path, err)
	}
	b.dev, b.ino = st.Dev, st.Ino
	var fs unix.Statfs_t
	if err := unix.Fstatfs(b.fd, &fs); err != nil {
		return fmt.Errorf("statfs of branch %s: %w", b.path, err)
	}
	b.fs = fs.Fsid
	if text, bad := refusedFS()[int64(fs.Type)]; bad {
		return fmt.Errorf(text+": %w", b.path, unix.EINVAL)
	}
	if int64(fs.Type) == fuseMagic && answersAsAufs(prefix+b.path) {
		return fmt.Errorf("unsupported filesystem, %s (aufs): %w", b.path, unix.EINVAL)
	}
	if b.perm.Writable() && fs.Flags&unix.ST_RDONLY != 0 {
		return fmt.Errorf("write permission for readonly mount or inode, %s: %w", b.path, unix.EINVAL)
	}
	return nil
}

func (b *branch) close() {
	if b.orph >= 0 {
		unix.Close(b.orph)
	}
	unix.Close(b.fd)
}

// prepare makes the three base entries of a rw branch. The order is the
// module's: a failure leaves what came before.
func (b *branch) prepare(plink bool) error {
	if !b.perm.Has("nolwh") {
		if err := b.makeBase(); err != nil {
			return b.baseError(whBase, err)
		}
	} else if err := unix.Unlinkat(b.fd, whBase, 0); err != nil && err != unix.ENOENT {
		return b.baseError(whBase, err)
	}
	folders := []string{whPlink, whOrphan}
	if !plink {
		folders = []string{whOrphan}
	}
	for _, name := range folders {
		if err := b.makeFolder(name); err != nil {
			return b.baseError(name, err)
		}
	}
	return b.openOrphans()
}

func (b *branch) baseError(name string, err error) error {
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("unknown %s exists on the writable branch %s: %w", name, b.path, unix.EINVAL)
	}
	return fmt.Errorf("making %s on the writable branch %s: %w", name, b.path, err)
}

// makeBase makes the file that whiteouts are hard links of. One that is there
// already is taken as it is, whatever its mode and content.
func (b *branch) makeBase() error {
	fd, err := unix.Openat(b.fd, whBase, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o444)
	if err == nil {
		return unix.Close(fd)
	}
	if st, serr := b.lstat(whBase); serr == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
		return nil
	}
	return err
}

func (b *branch) makeFolder(name string) error {
	err := unix.Mkdirat(b.fd, name, 0o700)
	if st, serr := b.lstat(name); err == unix.EEXIST && serr == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return nil
	}
	return err
}

func (b *branch) openOrphans() (err error) {
	if b.orph >= 0 {
		return nil
	}
	b.orph, err = unix.Openat(b.fd, whOrphan, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s of branch %s: %w", whOrphan, b.path, err)
	}
	return b.recover()
}

// dropBases removes the base entries of a branch that turns read-only.
// Whiteouts stay. What still holds something stays too.
func (b *branch) dropBases() {
	unix.Unlinkat(b.fd, whBase, 0)
	unix.Unlinkat(b.fd, whPlink, unix.AT_REMOVEDIR)
	unix.Unlinkat(b.fd, whOrphan, unix.AT_REMOVEDIR)
	if b.orph >= 0 {
		unix.Close(b.orph)
		b.orph = -1
	}
}

// lstat is fstatat(2) below the branch root.
func (b *branch) lstat(path string) (st unix.Stat_t, err error) {
	err = unix.Fstatat(b.fd, path, &st, unix.AT_SYMLINK_NOFOLLOW)
	return st, err
}

// proc is an absolute path for the system calls that know no directory
// descriptor (extended attributes).
func (b *branch) proc(path string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", b.fd, path)
}

// overlaps tells whether one of the two branches lies inside the other.
func (b *branch) overlaps(c *branch) bool {
	if b.fs != c.fs {
		return false
	}
	inside := func(p, q string) bool { return q == "/" || strings.HasPrefix(p, q+"/") }
	return inside(b.path, c.path) || inside(c.path, b.path)
}

func (b *branch) same(c *branch) bool { return b.dev == c.dev && b.ino == c.ino }
