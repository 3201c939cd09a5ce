package layertar

import (
	"archive/tar"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Order matters in all of these: chown(2) clears set-uid bits and file
// capabilities, so owner first, then mode, then attributes; every change sets
// the change time, and writing sets the modification time, so times come last.

// fileMeta gives an open, finished file its owner, mode, attributes and time.
func (a *applier) fileMeta(fd int, name string, hdr *tar.Header) error {
	if hdr.Uid != a.uid || hdr.Gid != a.gid {
		if err := unix.Fchown(fd, hdr.Uid, hdr.Gid); err != nil {
			return fmt.Errorf("fchown %d:%d: %w", hdr.Uid, hdr.Gid, err)
		}
	}
	if err := unix.Fchmod(fd, permBits(hdr)); err != nil {
		return fmt.Errorf("fchmod %#o: %w", permBits(hdr), err)
	}
	if err := a.xattrs(fd, name, hdr); err != nil {
		return err
	}
	times := modTimes(hdr.ModTime)
	if err := unix.UtimesNanoAt(fd, "", times[:], unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("utimensat AT_EMPTY_PATH: %w", err)
	}
	return nil
}

// folderMeta is fileMeta for a folder, with the time kept for later. fd may be
// the root's O_PATH descriptor, which only takes calls with a path, hence "/.".
func (a *applier) folderMeta(fd int, name string, hdr *tar.Header) error {
	if fd == a.dirs.root {
		real, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open layer root: %w", err)
		}
		defer unix.Close(real)
		fd = real
	}
	if err := unix.Fchown(fd, hdr.Uid, hdr.Gid); err != nil {
		return fmt.Errorf("fchown %d:%d: %w", hdr.Uid, hdr.Gid, err)
	}
	if err := unix.Fchmod(fd, permBits(hdr)); err != nil {
		return fmt.Errorf("fchmod %#o: %w", permBits(hdr), err)
	}
	a.times = append(a.times, folderTime{name, modTimes(hdr.ModTime)})
	return a.xattrs(fd, name, hdr)
}

// meta is for what cannot be opened without side effects: links, nodes, fifos.
func (a *applier) meta(dir int, name, base string, hdr *tar.Header) error {
	if err := unix.Fchownat(dir, base, hdr.Uid, hdr.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("fchownat %d:%d AT_SYMLINK_NOFOLLOW: %w", hdr.Uid, hdr.Gid, err)
	}
	if hdr.Typeflag != tar.TypeSymlink { // a link has no mode of its own
		if err := chmodNode(dir, base, permBits(hdr)); err != nil {
			return err
		}
	}
	times := modTimes(hdr.ModTime)
	if err := unix.UtimesNanoAt(dir, base, times[:], unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("utimensat AT_SYMLINK_NOFOLLOW: %w", err)
	}
	return nil
}

// chmodNode changes the mode of a node that must neither be opened (a device
// would react) nor followed. fchmodat(2) knows no AT_SYMLINK_NOFOLLOW before
// Linux 6.6, so it goes through the descriptor's own /proc name.
func chmodNode(dir int, base string, mode uint32) error {
	fd, err := unix.Openat(dir, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("openat O_PATH|O_NOFOLLOW: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode); err != nil {
		return fmt.Errorf("chmod %#o: %w", mode, err)
	}
	return nil
}

const xattrKey = "SCHILY.xattr." // the pax record prefix that all tar tools agree on

// xattrs sets the entry's extended attributes, sorted for a stable disk layout.
// One that the file system or our rights do not allow is counted, not fatal:
// Docker's layers carry security.* that many places cannot keep.
func (a *applier) xattrs(fd int, name string, hdr *tar.Header) error {
	if len(hdr.PAXRecords) == 0 {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(hdr.PAXRecords)) {
		attr, ok := strings.CutPrefix(key, xattrKey)
		if !ok {
			continue
		}
		if isOverlayXattr(attr) {
			// Such an attribute can point a file at any other of the layers
			// (redirect, metacopy): it is the kernel's to write, not a sender's.
			return fmt.Errorf("attribute %s is overlayfs's own and must not come with a layer", attr)
		}
		err := unix.Fsetxattr(fd, attr, []byte(hdr.PAXRecords[key]), 0)
		switch {
		case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EPERM):
			a.result.Dropped = append(a.result.Dropped, name+": "+attr)
		case err != nil:
			return fmt.Errorf("fsetxattr %s: %w", attr, err)
		}
	}
	return nil
}

func isOverlayXattr(attr string) bool {
	return strings.HasPrefix(attr, "trusted.overlay.") || strings.HasPrefix(attr, "user.overlay.")
}

// setFolderTimes runs after the last entry. A folder that a later entry removed
// or replaced is skipped.
func (a *applier) setFolderTimes() error {
	for _, f := range a.times {
		fd, err := a.dirs.open(f.name)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			continue
		}
		if err != nil {
			return err
		}
		if err := unix.UtimesNanoAt(fd, ".", f.time[:], 0); err != nil {
			return fmt.Errorf("utimensat %s: %w", f.name, err)
		}
	}
	return nil
}

// permBits are the nine permissions with set-uid, set-gid and sticky. Some
// writers put the file type there too; mknod and open decide that.
func permBits(hdr *tar.Header) uint32 { return uint32(hdr.Mode) & 0o7777 }

// modTimes sets the access time as well: leaving it "now" would make two
// unpackings of one layer differ.
func modTimes(t time.Time) [2]unix.Timespec {
	ts := unix.NsecToTimespec(t.UnixNano())
	if t.Before(time.Unix(0, 0)) || t.Year() > 2200 {
		ts = unix.Timespec{} // outside of what UnixNano and many disks can say
	}
	return [2]unix.Timespec{ts, ts}
}
