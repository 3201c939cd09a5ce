package layertar

import (
	"archive/tar"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// header describes a file in the one form that equal files always get: pax
// format, whole seconds, no user names, no access and change times, and only the
// attributes that mean something on another machine. Two stores that hold the
// same tree then write the same bytes, hence the same diff id.
func header(name string, st unix.Stat_t) (*tar.Header, error) {
	h := &tar.Header{
		Name:    name,
		Mode:    int64(st.Mode & 0o7777),
		Uid:     int(st.Uid),
		Gid:     int(st.Gid),
		ModTime: time.Unix(st.Mtim.Sec, 0),
		Format:  tar.FormatPAX,
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		h.Typeflag, h.Size = tar.TypeReg, st.Size
	case unix.S_IFDIR:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	default:
		return nil, fmt.Errorf("%s: file type %#o has no tar entry", name, st.Mode&unix.S_IFMT)
	}
	return h, nil
}

// carried are the attributes that go into a layer: file capabilities and what
// programs wrote themselves. ACLs, SELinux labels and trusted.* belong to the
// machine.
func carried(attr string) bool {
	return attr == "security.capability" ||
		strings.HasPrefix(attr, "user.") && !isOverlayXattr(attr)
}

// addXattrs reads the attributes of an open file into its header.
func addXattrs(h *tar.Header, fd int) error {
	names, err := listXattrs(fd)
	if err != nil {
		return fmt.Errorf("%s: flistxattr: %w", h.Name, err)
	}
	for _, attr := range names {
		if !carried(attr) {
			continue
		}
		value := make([]byte, 64<<10) // XATTR_SIZE_MAX, xattr(7)
		n, err := unix.Fgetxattr(fd, attr, value)
		if err != nil {
			return fmt.Errorf("%s: fgetxattr %s: %w", h.Name, attr, err)
		}
		if h.PAXRecords == nil {
			h.PAXRecords = make(map[string]string)
		}
		h.PAXRecords[xattrKey+attr] = string(value[:n])
	}
	return nil
}

// listXattrs names the attributes of an open file, sorted; none where the file
// system has none.
func listXattrs(fd int) ([]string, error) {
	n, err := unix.Flistxattr(fd, nil)
	if err == unix.ENOTSUP || err == nil && n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10) // XATTR_LIST_MAX
	if n, err = unix.Flistxattr(fd, buf); err != nil {
		return nil, err
	}
	names := strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00")
	slices.Sort(names)
	return names, nil
}

// SameXattrs says whether two open files have the same attributes among those
// that a layer carries.
func SameXattrs(a, b int) (bool, error) {
	var x, y tar.Header
	if err := addXattrs(&x, a); err != nil {
		return false, err
	}
	if err := addXattrs(&y, b); err != nil {
		return false, err
	}
	return maps.Equal(x.PAXRecords, y.PAXRecords), nil
}
