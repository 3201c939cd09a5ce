package aufs

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// The system calls for extended attributes take paths only (before Linux
// 6.13), so they go through /proc/self/fd/N/path, where N is the branch.
func (s spot) procPath() string {
	if s.nameless {
		return s.path
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", s.dirfd, s.path)
}

// getXattr reads a whole value. follow is for a /proc link to an open file.
func getXattr(path, name string, follow bool) ([]byte, error) {
	get := unix.Lgetxattr
	if follow {
		get = unix.Getxattr
	}
	buf := make([]byte, 256)
	for {
		n, err := get(path, name, buf)
		if err != unix.ERANGE {
			return buf[:max(n, 0)], err
		}
		if n, err = get(path, name, nil); err != nil {
			return nil, err
		}
		buf = make([]byte, n+1)
	}
}

func listXattrs(path string, follow bool) ([]string, error) {
	list := unix.Llistxattr
	if follow {
		list = unix.Listxattr
	}
	buf := make([]byte, 1024)
	for {
		n, err := list(path, buf)
		if err == nil {
			return strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == 0 }), nil
		}
		if err != unix.ERANGE {
			return nil, err
		}
		buf = make([]byte, 4*len(buf))
	}
}

// spotOf is the spot of a FUSE request's node; call unlock when done with it.
func (fs *FS) spotOf(id uint64) (s spot, unlock func(), err error) {
	fs.tree.RLock()
	n := fs.node(id)
	if n == nil {
		return s, fs.tree.RUnlock, unix.ESTALE
	}
	s, err = fs.spot(n)
	return s, fs.tree.RUnlock, err
}

// GetXAttr answers GETXATTR, from the topmost object only.
func (fs *FS) GetXAttr(_ <-chan struct{}, h *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	s, unlock, err := fs.spotOf(h.NodeId)
	defer unlock()
	if err != nil {
		return 0, status(err)
	}
	value, err := getXattr(s.procPath(), name, s.nameless)
	if err != nil {
		return 0, status(err)
	}
	return answer(dest, value)
}

// answer copies a value, or says how much room it needs.
func answer(dest, value []byte) (uint32, fuse.Status) {
	if len(value) > len(dest) {
		return uint32(len(value)), fuse.ERANGE
	}
	return uint32(copy(dest, value)), fuse.OK
}

// ListXAttr answers LISTXATTR.
func (fs *FS) ListXAttr(_ <-chan struct{}, h *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	s, unlock, err := fs.spotOf(h.NodeId)
	defer unlock()
	if err != nil {
		return 0, status(err)
	}
	names, err := listXattrs(s.procPath(), s.nameless)
	if err != nil {
		return 0, status(err)
	}
	var list bytes.Buffer
	for _, name := range names {
		list.WriteString(name + "\x00")
	}
	return answer(dest, list.Bytes())
}

// SetXAttr answers SETXATTR. The copy-up stays even if setting fails.
func (fs *FS) SetXAttr(_ <-chan struct{}, in *fuse.SetXAttrIn, name string, data []byte) fuse.Status {
	return fs.changeXattr(in.NodeId, func(s spot) error {
		if s.nameless {
			return unix.Setxattr(s.path, name, data, int(in.Flags))
		}
		return unix.Lsetxattr(s.procPath(), name, data, int(in.Flags))
	})
}

// RemoveXAttr answers REMOVEXATTR. It removes, where the module leaves the
// name with an empty value; see differences.go.
func (fs *FS) RemoveXAttr(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return fs.changeXattr(h.NodeId, func(s spot) error {
		if s.nameless {
			return unix.Removexattr(s.path, name)
		}
		return unix.Lremovexattr(s.procPath(), name)
	})
}

func (fs *FS) changeXattr(id uint64, change func(spot) error) fuse.Status {
	n := fs.node(id)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	if _, err := fs.makeWritable(n, false, 0); err != nil {
		return status(err)
	}
	s, unlock, err := fs.spotOf(id)
	defer unlock()
	if err == nil {
		err = change(s)
	}
	return status(err)
}
