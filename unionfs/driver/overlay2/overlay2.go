package overlay2

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/unionfs"
	"cutaway/unionfs/branch"
	"cutaway/unionfs/quota"
)

// Driver is a store of overlay2 layers.
type Driver struct {
	home   string
	extra  []string // mount options that this kernel wants
	marks  branch.Overlay
	limit  *quota.Control // nil where project quota is off, with noQuota as the reason
	noQuo  error
	claims unionfs.Claims
}

// Options are what Open has to know about the machine.
type Options struct {
	// Parameters is the overlay module's parameter folder,
	// /sys/module/overlay/parameters.
	Parameters string
}

// Open makes the folder home if need be and takes away what dead processes left
// half made there.
func Open(home string, opts Options) (*Driver, error) {
	home, err := filepath.Abs(home)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(home, "l"), 0o710); err != nil {
		return nil, err
	}
	// The real path: a link in the middle would turn up in the mount table.
	if home, err = filepath.EvalSymlinks(home); err != nil {
		return nil, err
	}
	if err := CheckBacking(home); err != nil {
		return nil, err
	}
	d := &Driver{home: home}
	if d.marks.UserXattr, err = needsUserXattr(home); err != nil {
		return nil, err
	}
	if d.extra, err = extraOptions(opts.Parameters, d.marks.UserXattr); err != nil {
		return nil, err
	}
	d.limit, d.noQuo = quota.Open(home)
	if _, err := unionfs.Sweep(home, d.unlink); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Driver) path(id string, parts ...string) string {
	return filepath.Join(append([]string{d.home, id}, parts...)...)
}

// Name is "overlay2".
func (d *Driver) Name() string { return "overlay2" }

// Home is the folder given to Open, as a real path.
func (d *Driver) Home() string { return d.home }

// Close has nothing to give back.
func (d *Driver) Close() error { return nil }

// Exists says whether the layer's folder is there under its final name.
func (d *Driver) Exists(id string) bool {
	_, err := os.Lstat(d.path(id, "link"))
	return unionfs.CheckID(id) == nil && err == nil
}

// List names the layers.
func (d *Driver) List() ([]string, error) {
	entries, err := os.ReadDir(d.home)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if e.Name() != "l" && d.Exists(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// CheckBacking refuses file systems that overlayfs cannot write to: without
// d_type it cannot tell whiteouts from files while listing (XFS made with
// ftype=0), and on another overlay it has no place for its marks.
func CheckBacking(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("statfs %s: %w", dir, err)
	}
	if st.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return &unionfs.Unsupported{
			What: "driver overlay2", Reason: dir + " lies on an overlay itself",
			Remedy: "choose a --root on a disk or tmpfs, or use the driver vfs",
		}
	}
	ok, err := HasDType(dir)
	if err != nil || ok {
		return err
	}
	return &unionfs.Unsupported{
		What: "driver overlay2", Reason: dir + " lies on a file system without d_type",
		Remedy: "make it again with `mkfs.xfs -n ftype=1`, or use the driver vfs",
	}
}

// HasDType reads the folder itself with getdents64(2): the entry "." is always
// there, and its type is 0 (DT_UNKNOWN) where the file system keeps none.
func HasDType(dir string) (bool, error) {
	f, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer f.Close()
	buf := make([]byte, 4096)
	n, err := unix.Getdents(int(f.Fd()), buf)
	if err != nil || n < 19 {
		return false, fmt.Errorf("getdents64 %s: %d bytes: %w", dir, n, err)
	}
	const typeOffset = 18 // struct linux_dirent64: u64 ino, s64 off, u16 reclen, u8 type
	return buf[typeOffset] != unix.DT_UNKNOWN, nil
}

// needsUserXattr tries to set a trusted attribute on a file that has no name.
// EPERM means that we are not root outside of a user namespace, where overlayfs
// offers the option userxattr (Linux 5.11).
func needsUserXattr(home string) (bool, error) {
	fd, err := unix.Open(home, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return os.Geteuid() != 0, nil
	}
	if err != nil {
		return false, fmt.Errorf("open %s O_TMPFILE: %w", home, err)
	}
	defer unix.Close(fd)
	err = unix.Fsetxattr(fd, "trusted.overlay.probe", []byte("y"), 0)
	if err == nil || errors.Is(err, unix.EPERM) {
		return err != nil, nil
	}
	return false, fmt.Errorf("fsetxattr trusted.* below %s: %w", home, err)
}

// Metadata names the folders of the mount, as `docker inspect` does.
func (d *Driver) Metadata(id string) (map[string]string, error) {
	if !d.Exists(id) {
		return nil, fmt.Errorf("layer %s: %w", id, fs.ErrNotExist)
	}
	lowers, err := d.lowerDirs(id)
	if err != nil {
		return nil, err
	}
	m := map[string]string{"UpperDir": d.path(id, "diff"), "WorkDir": d.path(id, "work"), "MergedDir": d.path(id, "merged")}
	if len(lowers) > 0 {
		for i, l := range lowers {
			lowers[i] = filepath.Clean(l)
		}
		m["LowerDir"] = strings.Join(lowers, ":")
	}
	return m, nil
}

// Status says what lies below the store.
func (d *Driver) Status() []unionfs.Fact {
	yes := map[bool]string{true: "true", false: "false"}
	dtype, _ := HasDType(d.home)
	limit := "true"
	if d.noQuo != nil {
		limit = d.noQuo.Error()
	}
	return []unionfs.Fact{
		{Name: "Backing Filesystem", Value: unionfs.FileSystemName(d.home)},
		{Name: "Supports d_type", Value: yes[dtype]},
		{Name: "Native Overlay Diff", Value: "true"},
		{Name: "userxattr", Value: yes[d.marks.UserXattr]},
		{Name: "Size limit", Value: limit},
	}
}
