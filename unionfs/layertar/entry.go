package layertar

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// entry brings one tar entry onto disk.
func (a *applier) entry(hdr *tar.Header, content io.Reader) error {
	name, err := CleanName(hdr.Name)
	if err != nil {
		return err
	}
	if name == "." {
		if hdr.Typeflag != tar.TypeDir {
			return fmt.Errorf("entry %q: the layer's root can only be a folder", hdr.Name)
		}
		return a.folderMeta(a.dirs.root, name, hdr)
	}
	dir, base, err := a.dirs.parent(name)
	if err != nil {
		return err
	}
	if strings.HasPrefix(base, WhiteoutPrefix) && a.opts.Form != AUFS {
		return a.mark(dir, name, base)
	}
	a.remember(name)
	if err := a.makeRoom(dir, base, hdr.Typeflag); err != nil {
		return fmt.Errorf("entry %q: %w", name, err)
	}
	if err := a.create(dir, name, base, hdr, content); err != nil {
		return fmt.Errorf("entry %q: %w", name, err)
	}
	return nil
}

// remember notes that this layer brought name, and with it the folders above.
func (a *applier) remember(name string) {
	for name != "." && !a.made[name] {
		a.made[name] = true
		name, _ = split(name)
	}
}

// makeRoom removes what stands where an entry goes. A folder over a folder is
// the exception: it keeps its content and only takes the new mode and owner.
func (a *applier) makeRoom(dir int, base string, typ byte) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("fstatat: %w", err)
	}
	if isDir(st) && typ == tar.TypeDir {
		return nil
	}
	a.stale = true
	return removeAt(dir, base, isDir(st))
}

// create makes the entry, which does not exist any more, by its type.
func (a *applier) create(dir int, name, base string, hdr *tar.Header, content io.Reader) error {
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse: // tar.Reader turns the old '\x00' into TypeReg
		return a.file(dir, name, base, hdr, content)
	case tar.TypeDir:
		return a.folder(dir, name, base, hdr)
	case tar.TypeSymlink:
		// The target is just bytes here: it is never followed on the way in.
		if err := unix.Symlinkat(hdr.Linkname, dir, base); err != nil {
			return fmt.Errorf("symlinkat to %q: %w", hdr.Linkname, err)
		}
		return a.meta(dir, name, base, hdr)
	case tar.TypeLink:
		return a.hardLink(dir, base, hdr)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return a.node(dir, name, base, hdr)
	case tar.TypeXGlobalHeader:
		return nil // git's comment block; it names no file
	}
	return fmt.Errorf("tar entry type %q is not one a layer may hold", hdr.Typeflag)
}

func (a *applier) folder(dir int, name, base string, hdr *tar.Header) error {
	if err := unix.Mkdirat(dir, base, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("mkdirat: %w", err)
	}
	// O_NOFOLLOW: between mkdirat and here a link may have taken its place.
	fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("openat O_DIRECTORY|O_NOFOLLOW: %w", err)
	}
	defer unix.Close(fd)
	if a.opts.Form == Overlay && a.hid[name] {
		if err := setOpaque(fd, a.opts.UserXattr); err != nil {
			return err
		}
	}
	return a.folderMeta(fd, name, hdr)
}

// hardLink links to a file of the same tree. The target is opened inside the
// root, and linkat(2) then takes that very descriptor, so that nothing can be
// swapped in between. Links to folders are refused by the kernel.
func (a *applier) hardLink(dir int, base string, hdr *tar.Header) error {
	target, err := CleanName(hdr.Linkname)
	if err != nil {
		return fmt.Errorf("hard link: %w", err)
	}
	tdir, tbase, err := a.dirs.parent(target)
	if err != nil {
		return fmt.Errorf("hard link to %q: %w", target, err)
	}
	// No flags: a symbolic link as the target is linked, not followed.
	if err := unix.Linkat(tdir, tbase, dir, base, 0); err != nil {
		return fmt.Errorf("linkat to %q: %w", target, err)
	}
	return nil
}

// node makes a device node or a fifo.
func (a *applier) node(dir int, name, base string, hdr *tar.Header) error {
	mode, dev := uint32(unix.S_IFIFO), 0
	switch hdr.Typeflag {
	case tar.TypeChar:
		mode = unix.S_IFCHR
	case tar.TypeBlock:
		mode = unix.S_IFBLK
	}
	if hdr.Typeflag != tar.TypeFifo {
		dev = int(unix.Mkdev(uint32(hdr.Devmajor), uint32(hdr.Devminor)))
	}
	if mode == unix.S_IFCHR && dev == 0 && a.opts.Form == Overlay {
		// Overlayfs would read it as a whiteout that the layer's author hid
		// from everybody who looks for ".wh." names.
		return errors.New("character device 0:0 is overlayfs's whiteout; a layer must use a .wh. name")
	}
	if err := unix.Mknodat(dir, base, mode|0o600, dev); err != nil {
		return fmt.Errorf("mknodat device %d:%d: %w", hdr.Devmajor, hdr.Devminor, err)
	}
	return a.meta(dir, name, base, hdr)
}

func isDir(st unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }
