package unionfs

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Mount is one holder's claim on a mounted layer.
type Mount struct {
	Path    string // the root of the merged tree
	release func() error
	mu      sync.Mutex
	done    bool
}

// Release gives the claim back; the last one takes the mount away. Once it
// worked, calling it again does nothing. After an error the claim is still held,
// so that a later Release can take the mount away.
func (m *Mount) Release() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done {
		return nil
	}
	if err := m.release(); err != nil {
		return err
	}
	m.done = true
	return nil
}

// Claims counts who holds which mount point, so that two users of one layer
// share one kernel mount. A mount that was there before the first claim belongs
// to another process: it is used, and never taken away.
type Claims struct {
	mu   sync.Mutex
	held map[string]int // mount point -> claims
}

// Claim mounts target by mount() unless it is one already, and returns a handle
// on path, a folder at or below target. unmount() runs with the last Release.
func (c *Claims) Claim(target, path string, mount, unmount func() error) (*Mount, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = make(map[string]int)
	}
	if c.held[target] == 0 {
		if there, err := IsMountPoint(target); err == nil && there {
			return &Mount{Path: path, release: func() error { return nil }}, nil
		}
		if err := mount(); err != nil {
			return nil, err
		}
	}
	c.held[target]++
	return &Mount{Path: path, release: func() error { return c.drop(target, unmount) }}, nil
}

func (c *Claims) drop(target string, unmount func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[target] > 1 {
		c.held[target]--
		return nil
	}
	// The claim is only forgotten when the kernel let go: otherwise the next
	// Claim would find a mount "of another process" and never take it away.
	if err := unmount(); err != nil {
		return err
	}
	delete(c.held, target)
	return nil
}

// Free fails with EBUSY while target is mounted, by us or by another process.
func (c *Claims) Free(target string) error {
	c.mu.Lock()
	held := c.held[target] > 0
	c.mu.Unlock()
	if there, err := IsMountPoint(target); held || err == nil && there {
		return fmt.Errorf("%s is mounted: %w", target, unix.EBUSY)
	}
	return nil
}

// IsMountPoint asks statx(2) for STATX_ATTR_MOUNT_ROOT (Linux 5.8), which does
// not need /proc and does not confuse bind mounts with plain folders.
func IsMountPoint(path string) (bool, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &st)
	if err != nil {
		return false, fmt.Errorf("statx %s: %w", path, err)
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// Unmount calls umount2(2) with UMOUNT_NOFOLLOW. EBUSY is retried for a second,
// because a process that just died may still be letting go of its files; a path
// that is no mount point (EINVAL) is already what was asked for.
func Unmount(path string) error {
	var err error
	for range 50 {
		err = unix.Unmount(path, unix.UMOUNT_NOFOLLOW)
		if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("umount2 %s UMOUNT_NOFOLLOW: %w", path, err)
}

// PlainMount is the handle on a folder that needs no mount.
func PlainMount(path string) *Mount {
	return &Mount{Path: path, release: func() error { return nil }}
}
