package layertar

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// mark carries out a ".wh." entry: an opaque mark or a whiteout.
func (a *applier) mark(dir int, name, base string) error {
	if base == OpaqueMarker {
		return a.hideFolder(dir, path.Dir(name))
	}
	if strings.HasPrefix(base, metaPrefix) {
		return nil // .wh..wh.aufs, .wh..wh.plnk, .wh..wh.orph: a branch's own
	}
	hidden := strings.TrimPrefix(base, WhiteoutPrefix)
	if hidden == "" || hidden == "." || hidden == ".." {
		return fmt.Errorf("entry %q: whiteout of %q", name, hidden)
	}
	full := path.Join(path.Dir(name), hidden)
	if a.made[full] {
		return a.hideBelow(dir, full, hidden)
	}
	a.hid[full] = true
	if err := a.clear(dir, hidden); err != nil {
		return fmt.Errorf("entry %q: %w", name, err)
	}
	if a.opts.Form != Overlay {
		return nil
	}
	if err := unix.Mknodat(dir, hidden, unix.S_IFCHR, 0); err != nil {
		return fmt.Errorf("entry %q: mknodat character device 0:0: %w", name, err)
	}
	return nil
}

// hideBelow is a whiteout of a name that the same layer brought before: it is
// about the layers below alone (OCI layer.md), so a folder keeps what is new in
// it and a file needs nothing more.
func (a *applier) hideBelow(dir int, full, base string) error {
	fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("openat %s O_DIRECTORY|O_NOFOLLOW: %w", full, err)
	}
	defer unix.Close(fd)
	return a.hideFolder(fd, full)
}

// hideFolder cuts a folder off from what the layers below have in it.
func (a *applier) hideFolder(dir int, folder string) error {
	if a.opts.Form == Execute {
		return a.clearBelow(dir, folder)
	}
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", folder, err)
	}
	defer unix.Close(fd)
	return setOpaque(fd, a.opts.UserXattr)
}

// setOpaque marks an upper folder so that overlayfs looks no further down.
func setOpaque(fd int, user bool) error {
	attr := "trusted.overlay.opaque"
	if user {
		attr = "user.overlay.opaque"
	}
	if err := unix.Fsetxattr(fd, attr, []byte("y"), 0); err != nil {
		return fmt.Errorf("fsetxattr %s=y: %w", attr, err)
	}
	return nil
}

// clear removes a name if it is there.
func (a *applier) clear(dir int, base string) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("fstatat %s: %w", base, err)
	}
	a.stale = true
	return removeAt(dir, base, isDir(st))
}

// clearBelow removes what the layers below have in a folder and keeps what this
// layer brought there already.
func (a *applier) clearBelow(dir int, folder string) error {
	names, err := listAt(dir, ".")
	if err != nil {
		return err
	}
	for _, n := range names {
		full := path.Join(folder, n)
		if !a.made[full] {
			if err := removeAt(dir, n, true); err != nil {
				return err
			}
			continue
		}
		sub, err := unix.Openat(dir, n, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			continue
		}
		if err != nil {
			return fmt.Errorf("openat %s O_DIRECTORY|O_NOFOLLOW: %w", full, err)
		}
		err = a.clearBelow(sub, full)
		unix.Close(sub)
		if err != nil {
			return err
		}
	}
	a.stale = true
	return nil
}
