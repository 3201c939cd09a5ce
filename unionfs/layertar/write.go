package layertar

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Writer turns files of one tree into the entries of a layer tar. Names are
// relative to the tree's root. The caller gives them sorted, folders first.
type Writer struct {
	tw    *tar.Writer
	dirs  *dirCache
	links map[inode]string // files with several names: where the first one stands
	buf   []byte
}

type inode struct{ dev, ino uint64 }

// NewWriter opens the tree's root folder. Finish with Close.
func NewWriter(w io.Writer, root string) (*Writer, error) {
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open tree %s: %w", root, err)
	}
	return &Writer{
		tw:    tar.NewWriter(w),
		dirs:  newDirCache(fd),
		links: make(map[inode]string),
		buf:   make([]byte, 256<<10),
	}, nil
}

// Close writes the end mark and lets the tree go.
func (w *Writer) Close() error {
	w.dirs.close()
	return w.tw.Close()
}

// Add writes the file at name as it is. Sockets are left out: tar has no entry
// type for them, and one without its server is of no use.
func (w *Writer) Add(name string) error {
	dir, base, err := w.at(name)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("add %s: fstatat: %w", name, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		return nil
	case unix.S_IFREG, unix.S_IFDIR:
		return w.opened(dir, base, name)
	}
	return w.node(dir, base, name, st)
}

// Whiteout writes the entry that hides name of the layers below. Its time is
// the epoch, for a whiteout has none that would be the same on every driver.
func (w *Writer) Whiteout(name string) error {
	dir, base := split(name)
	return w.mark(path.Join(dir, WhiteoutPrefix+base))
}

// Opaque writes the entry that hides all that the layers below have in the
// folder name.
func (w *Writer) Opaque(name string) error { return w.mark(path.Join(name, OpaqueMarker)) }

func (w *Writer) mark(name string) error {
	h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o444, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if err := w.tw.WriteHeader(h); err != nil {
		return fmt.Errorf("write entry %s: %w", name, err)
	}
	return nil
}

// at returns the folder of name, opened inside the root, and its last component.
func (w *Writer) at(name string) (int, string, error) {
	if w.dirs.full() {
		w.dirs.forget()
	}
	if name == "." {
		return w.dirs.root, ".", nil
	}
	dir, base := split(name)
	fd, err := w.dirs.open(dir)
	if err != nil {
		return -1, "", fmt.Errorf("add %s: %w", name, err)
	}
	return fd, base, nil
}

// opened writes a regular file or folder. O_NONBLOCK, lest a fifo that took its
// place just now keeps us waiting for a writer.
func (w *Writer) opened(dir int, base, name string) error {
	fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("add %s: openat O_NOFOLLOW: %w", name, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("add %s: fstat: %w", name, err)
	}
	h, err := header(name, st)
	if err != nil {
		return err
	}
	if w.linked(h, name, st) {
		return w.tw.WriteHeader(h)
	}
	if err := addXattrs(h, fd); err != nil {
		return err
	}
	if err := w.tw.WriteHeader(h); err != nil {
		return fmt.Errorf("write entry %s: %w", name, err)
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	return w.content(fd, name, st.Size)
}

// content copies exactly size bytes. A file that shrinks meanwhile is an error:
// the header has gone out already, and filling up would be inventing data.
func (w *Writer) content(fd int, name string, size int64) error {
	for left := size; left > 0; {
		n, err := unix.Read(fd, w.buf[:min(int64(len(w.buf)), left)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("add %s: read: %w", name, err)
		}
		if n == 0 {
			return fmt.Errorf("add %s: file shrank by %d bytes while it was read", name, left)
		}
		if _, err := w.tw.Write(w.buf[:n]); err != nil {
			return fmt.Errorf("write entry %s: %w", name, err)
		}
		left -= int64(n)
	}
	return nil
}

// node writes links, devices and fifos.
func (w *Writer) node(dir int, base, name string, st unix.Stat_t) error {
	h, err := header(name, st)
	if err != nil {
		return err
	}
	if h.Typeflag == tar.TypeSymlink {
		buf := make([]byte, 4096)
		n, err := unix.Readlinkat(dir, base, buf)
		if err != nil {
			return fmt.Errorf("add %s: readlinkat: %w", name, err)
		}
		h.Linkname = string(buf[:n])
	}
	w.linked(h, name, st)
	if err := w.tw.WriteHeader(h); err != nil {
		return fmt.Errorf("write entry %s: %w", name, err)
	}
	return nil
}

// linked turns a further name of a file that is in the tar already into a hard
// link to it.
func (w *Writer) linked(h *tar.Header, name string, st unix.Stat_t) bool {
	if st.Nlink < 2 || isDir(st) {
		return false
	}
	key := inode{uint64(st.Dev), st.Ino}
	first, seen := w.links[key]
	if !seen {
		w.links[key] = strings.TrimSuffix(name, "/")
		return false
	}
	h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
	return true
}
