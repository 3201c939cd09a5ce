package volumedemo

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// xattrKey is the prefix under which all tar programs keep extended attributes.
const xattrKey = "SCHILY.xattr."

// Pack writes a tree as a tar archive (POSIX pax): the top folder itself, then
// what is in it, sorted by name, with owners by number, modes, times to the
// nanosecond, extended attributes, devices, pipes and hard links. Sockets are
// left out: they mean something to their process only.
//
// A file that changes its length while it is read is an error: the archive would
// hold something that never was on disk. Stop those who write first.
func Pack(root *os.Root, w io.Writer) error {
	p := packer{root: root, out: tar.NewWriter(w), names: map[inode]string{}}
	err := fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = p.entry(name)
		}
		if err != nil {
			return fmt.Errorf("pack %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.out.Close()
}

type packer struct {
	root  *os.Root
	out   *tar.Writer
	names map[inode]string // the first name of files that have several
}

func (p *packer) entry(name string) error {
	info, err := p.root.Lstat(name)
	if err != nil {
		return err
	}
	switch {
	case info.Mode()&fs.ModeSocket != 0:
		return nil
	case info.Mode().IsRegular(), info.IsDir():
		return p.content(name, info)
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = p.root.Readlink(name); err != nil {
			return err
		}
	}
	hdr, err := header(name, info, target)
	if err != nil {
		return err
	}
	return p.out.WriteHeader(hdr)
}

// content writes a file or folder from one descriptor, so that its header, its
// attributes and its bytes are of the same inode, whatever is renamed meanwhile.
func (p *packer) content(name string, info fs.FileInfo) error {
	// O_NONBLOCK: should it have become a pipe by now, open must not wait for a writer.
	f, err := p.root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(info, now) {
		return fmt.Errorf("was replaced while the tree was being read: %w", unix.EAGAIN)
	}
	hdr, err := header(name, now, "")
	if err != nil {
		return err
	}
	if now.IsDir() {
		return p.write(f, hdr)
	}
	if first := p.firstName(name, now); first != "" {
		hdr.Typeflag, hdr.Linkname, hdr.Size = tar.TypeLink, first, 0
		return p.out.WriteHeader(hdr)
	}
	if err := p.write(f, hdr); err != nil {
		return err
	}
	if n, err := io.CopyN(p.out, f, hdr.Size); err != nil {
		return fmt.Errorf("%d of %d bytes could be read (did it shrink meanwhile?): %w", n, hdr.Size, err)
	}
	return nil
}

func (p *packer) write(f *os.File, hdr *tar.Header) error {
	attrs, err := readXattrs(f)
	if err != nil {
		return err
	}
	for key, value := range attrs {
		if hdr.PAXRecords == nil {
			hdr.PAXRecords = map[string]string{}
		}
		hdr.PAXRecords[xattrKey+key] = value
	}
	return p.out.WriteHeader(hdr)
}

// firstName is the name under which a file with several was packed already.
func (p *packer) firstName(name string, info fs.FileInfo) string {
	st := info.Sys().(*syscall.Stat_t)
	if st.Nlink < 2 {
		return ""
	}
	id := inode{uint64(st.Dev), st.Ino}
	if first, ok := p.names[id]; ok {
		return first
	}
	p.names[id] = name
	return ""
}

// header leaves out the names of owners: the number is what the kernel keeps,
// and a name may be another number where the archive is unpacked.
func header(name string, info fs.FileInfo, target string) (*tar.Header, error) {
	hdr, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return nil, err
	}
	hdr.Name, hdr.Format = name, tar.FormatPAX
	hdr.Uname, hdr.Gname = "", ""
	if info.IsDir() && !strings.HasSuffix(name, "/") {
		hdr.Name += "/"
	}
	return hdr, nil
}
