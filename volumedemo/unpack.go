package volumedemo

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Unpack makes the files of an archive below a folder, and replaces those that
// have the same names. os.Root keeps every step below it: neither "..", nor a
// symlink in the archive, nor one that lay in the folder leads out of it.
func Unpack(root *os.Root, r io.Reader) error {
	u := unpacker{root: root, in: tar.NewReader(r)}
	for {
		hdr, err := u.in.Next()
		if err == io.EOF {
			return u.folderTimes()
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		if err := u.entry(hdr); err != nil {
			return fmt.Errorf("unpack %s: %w", hdr.Name, err)
		}
	}
}

type unpacker struct {
	root    *os.Root
	in      *tar.Reader
	folders []*tar.Header // their times come last: each new file in one changes them
}

func (u *unpacker) entry(hdr *tar.Header) error {
	name := path.Clean(hdr.Name)
	if path.IsAbs(name) || !isLocal(name) {
		return fmt.Errorf("the name leads out of the folder: %w", unix.EXDEV)
	}
	if err := u.place(name, hdr); err != nil {
		return err
	}
	switch hdr.Typeflag {
	case tar.TypeDir:
		u.folders = append(u.folders, hdr)
		return u.folder(name, hdr)
	case tar.TypeReg:
		return u.file(name, hdr)
	case tar.TypeLink:
		return u.root.Link(path.Clean(hdr.Linkname), name)
	case tar.TypeSymlink:
		if err := u.root.Symlink(hdr.Linkname, name); err != nil {
			return err
		}
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		if err := u.node(name, hdr); err != nil {
			return err
		}
	case tar.TypeXGlobalHeader:
		return nil // a comment on the whole archive, as git writes one
	default:
		return fmt.Errorf("entries of type %q are not known: %w", hdr.Typeflag, errors.ErrUnsupported)
	}
	return u.meta(name, hdr)
}

// place makes the folders above, and takes away what is in the way. A folder
// stays where a folder shall be.
func (u *unpacker) place(name string, hdr *tar.Header) error {
	if name == "." {
		return nil
	}
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	old, err := u.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case old.IsDir() && hdr.Typeflag == tar.TypeDir:
		return nil
	}
	return u.root.Remove(name) // a folder that is not empty is not replaced by a file
}

func (u *unpacker) folder(name string, hdr *tar.Header) error {
	if err := u.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := u.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dress(f, hdr), f.Close())
}

func (u *unpacker) file(name string, hdr *tar.Header) error {
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, u.in)
	return errors.Join(err, dress(f, hdr), u.root.Chtimes(name, hdr.ModTime, hdr.ModTime), f.Close())
}

// dress gives an open file or folder owner, mode and attributes, in this order:
// chown(2) clears the set-id bits and file capabilities.
func dress(f *os.File, hdr *tar.Header) error {
	if err := f.Chown(hdr.Uid, hdr.Gid); err != nil {
		return err
	}
	if err := unix.Fchmod(int(f.Fd()), uint32(hdr.Mode)&0o7777); err != nil {
		return fmt.Errorf("fchmod %#o: %w", hdr.Mode, err)
	}
	for key, value := range hdr.PAXRecords {
		attr, is := strings.CutPrefix(key, xattrKey)
		if !is || isOverlay(attr) {
			continue
		}
		err := unix.Fsetxattr(int(f.Fd()), attr, []byte(value), 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("fsetxattr %s: %w", attr, err)
		}
	}
	return nil
}

// node makes a device or pipe (mknodat(2)), which no os.Root can.
func (u *unpacker) node(name string, hdr *tar.Header) error {
	kind := map[byte]uint32{tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO}[hdr.Typeflag]
	return u.at(name, func(dir int, base string) error {
		if err := unix.Mknodat(dir, base, kind|uint32(hdr.Mode)&0o777, int(unix.Mkdev(uint32(hdr.Devmajor), uint32(hdr.Devminor)))); err != nil {
			return fmt.Errorf("mknodat(%#o, %d:%d): %w", kind, hdr.Devmajor, hdr.Devminor, err)
		}
		return nil
	})
}

// meta is for what cannot be opened without side effects.
func (u *unpacker) meta(name string, hdr *tar.Header) error {
	if err := u.root.Lchown(name, hdr.Uid, hdr.Gid); err != nil {
		return err
	}
	if hdr.Typeflag != tar.TypeSymlink { // a symlink has no mode
		if err := u.root.Chmod(name, hdr.FileInfo().Mode()); err != nil {
			return err
		}
	}
	return u.at(name, func(dir int, base string) error {
		ts := unix.NsecToTimespec(hdr.ModTime.UnixNano())
		return unix.UtimesNanoAt(dir, base, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// at opens the folder above, for calls that take a folder and a name in it.
func (u *unpacker) at(name string, do func(dir int, base string) error) error {
	dir, err := u.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return do(int(dir.Fd()), path.Base(name))
}

func (u *unpacker) folderTimes() error {
	for _, hdr := range slices.Backward(u.folders) {
		name := path.Clean(hdr.Name)
		err := u.root.Chtimes(name, hdr.ModTime, hdr.ModTime)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a later entry may have replaced it
			return err
		}
	}
	return nil
}
