package layertar

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// inRoot makes openat2(2) treat the descriptor it starts from as "/": "..",
// absolute links and renames in mid-walk cannot lead out. No magic links, for
// /proc/*/fd of a container's tree would be a door out again.
const inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// dirCache keeps descriptors of folders that were written to lately. A layer
// lists a folder's files one after the other, so nearly every entry saves its
// openat2 call.
type dirCache struct {
	root int
	fds  map[string]int
}

// cached is how many descriptors are kept; then all are dropped between two
// entries, which is simpler than ageing and costs one openat2 per folder in use.
const cached = 128

func newDirCache(root int) *dirCache {
	return &dirCache{root: root, fds: make(map[string]int)}
}

// open returns an O_PATH descriptor of the folder name. The cache owns it.
func (d *dirCache) open(name string) (int, error) {
	if name == "." {
		return d.root, nil
	}
	if fd, ok := d.fds[name]; ok {
		return fd, nil
	}
	fd, err := openInRoot(d.root, name, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	d.fds[name] = fd
	return fd, nil
}

func (d *dirCache) full() bool { return len(d.fds) >= cached }

// forget drops all descriptors but the root's. Needed whenever something was
// removed: a kept descriptor would lead into the folder that is gone.
func (d *dirCache) forget() {
	for name, fd := range d.fds {
		unix.Close(fd)
		delete(d.fds, name)
	}
}

func (d *dirCache) close() {
	d.forget()
	unix.Close(d.root)
}

// parent returns the folder that name goes into, making missing ones with mode
// 0755: a layer may leave out entries for folders that it did not change.
func (d *dirCache) parent(name string) (int, string, error) {
	dir, base := split(name)
	fd, err := d.open(dir)
	if errors.Is(err, unix.ENOENT) && dir != "." {
		up, last, perr := d.parent(dir)
		if perr != nil {
			return -1, "", perr
		}
		if err := unix.Mkdirat(up, last, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return -1, "", fmt.Errorf("mkdirat %s: %w", dir, err)
		}
		fd, err = d.open(dir)
	}
	if err != nil {
		return -1, "", fmt.Errorf("folder of %q: %w", name, err)
	}
	return fd, base, nil
}

// openInRoot calls openat2(2). EAGAIN is the kernel's word for "somebody renamed
// folders while I walked and I cannot promise that I stayed inside": try again.
func openInRoot(root int, name string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: inRoot}
	for range 64 {
		fd, err := unix.Openat2(root, name, &how)
		if err == nil {
			return fd, nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return -1, fmt.Errorf("openat2 %s RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS: %w", name, err)
		}
	}
	return -1, fmt.Errorf("openat2 %s RESOLVE_IN_ROOT: tree keeps changing: %w", name, unix.EAGAIN)
}
