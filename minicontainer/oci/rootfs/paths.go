package rootfs

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Cover is what masks a path: the host's /dev/null for files, an empty
// read-only tmpfs for folders.
type Cover struct {
	null     *os.File
	attached bool // it covers a first path
}

// OpenCover opens the host's /dev/null while it is still the host's, and makes
// sure that it is the null device. The container's own /dev/null is its image's
// to decide: a symlink there once turned masking into exposing (CVE-2025-31133).
func OpenCover(path string) (*Cover, error) {
	f, err := os.OpenFile(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	err = unix.Fstat(int(f.Fd()), &st)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3)) {
		err = fmt.Errorf("%s is not the null device", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	tree, err := cloneAt(int(f.Fd()), "", false)
	f.Close()
	return &Cover{null: tree}, err
}

// Close lets go of it.
func (c *Cover) Close() error { return c.null.Close() }

// Mask hides a path: nothing can be read from it any more. What does not exist
// needs no mask.
func (r *Root) Mask(path string, c *Cover) error {
	target, err := r.Open(path, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer target.Close()
	tree, err := c.over(target)
	if err != nil {
		return fmt.Errorf("can't mask path %q: %w", path, err)
	}
	defer tree.Close()
	return attach(tree, target)
}

func (c *Cover) over(target *os.File) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(target.Fd()), &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return newFilesystem("tmpfs", "tmpfs", Plan{Set: unix.MOUNT_ATTR_RDONLY, Super: []string{"ro"}})
	}
	if c.attached {
		return cloneAt(int(c.null.Fd()), "", false)
	}
	// The first file gets the tree itself: before Linux 6.15 only a mount that is in
	// a namespace can be cloned (EINVAL), and by this it comes into one.
	c.attached = true
	fd, err := unix.FcntlInt(c.null.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("fcntl(%s, F_DUPFD_CLOEXEC): %w", c.null.Name(), err)
	}
	return os.NewFile(uintptr(fd), c.null.Name()), nil
}

// ReadOnly binds a path onto itself, read-only with all that is mounted below.
func (r *Root) ReadOnly(path string) error {
	target, err := r.Open(path, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer target.Close()
	tree, err := cloneAt(int(target.Fd()), "", true)
	if err != nil {
		return fmt.Errorf("can't make %q read-only: %w", path, err)
	}
	defer tree.Close()
	if err := setAttr(tree, unix.MOUNT_ATTR_RDONLY, 0, true); err != nil {
		return err
	}
	return attach(tree, target)
}

// FinishDev makes /dev read-only where the spec wants it, now that it is filled.
func (s *Setup) FinishDev(r *Root) error {
	for _, m := range s.Spec.Mounts {
		p, err := PlanOptions(m)
		if err != nil || m.Destination != "/dev" || !p.ReadOnly() {
			continue
		}
		if err := r.remountReadOnly("/dev"); err != nil {
			return err
		}
	}
	return nil
}

// Seal makes the root itself read-only; mounts below keep their own state.
func (s *Setup) Seal(r *Root) error {
	if s.Spec.Root == nil || !s.Spec.Root.Readonly {
		return nil
	}
	return setAttr(r.dir, unix.MOUNT_ATTR_RDONLY, 0, false)
}

func (r *Root) remountReadOnly(path string) error {
	f, err := r.Open(path, unix.O_PATH)
	if err != nil {
		return err
	}
	defer f.Close()
	return setAttr(f, unix.MOUNT_ATTR_RDONLY, 0, false)
}
