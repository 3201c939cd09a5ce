package layertar

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// removeAt deletes a name with all below it, without following a link and
// without ever using a path of more than one component: the tree may change
// under us, and a path could then lead elsewhere.
func removeAt(dir int, base string, maybeFolder bool) error {
	err := unix.Unlinkat(dir, base, 0)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	// EISDIR is what Linux says for a folder, EPERM what POSIX says.
	if !maybeFolder || (!errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM)) {
		return fmt.Errorf("unlinkat %s: %w", base, err)
	}
	sub, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("openat %s O_DIRECTORY|O_NOFOLLOW: %w", base, err)
	}
	defer unix.Close(sub)
	names, err := listAt(sub, ".")
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := removeAt(sub, n, true); err != nil {
			return err
		}
	}
	if err := unix.Unlinkat(dir, base, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unlinkat %s AT_REMOVEDIR: %w", base, err)
	}
	return nil
}

// listAt names the entries of a folder given by descriptor and one component.
func listAt(dir int, base string) ([]string, error) {
	fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("openat %s O_DIRECTORY|O_NOFOLLOW: %w", base, err)
	}
	f := os.NewFile(uintptr(fd), base)
	defer f.Close()
	return f.Readdirnames(-1)
}
