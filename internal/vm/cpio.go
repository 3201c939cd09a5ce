package vm

import (
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpioWriter writes the "newc" cpio archive that the kernel unpacks as its first
// root file system: per entry a header of 13 eight-digit hex numbers, the name, the
// bytes, each padded to 4. Documentation/driver-api/early-userspace/buffer-format.rst.
type cpioWriter struct {
	w     io.Writer
	inode uint32
	made  map[string]bool // entries written, so that parents are made once
	stamp time.Time
}

// newCpioWriter gives every entry the same time, so that equal content makes an
// equal archive.
func newCpioWriter(w io.Writer, stamp time.Time) *cpioWriter {
	return &cpioWriter{w: w, made: map[string]bool{"": true}, stamp: stamp}
}

// Dir writes a directory, and before it those of its parents that are missing: the
// kernel creates no parents, it silently drops the entry.
func (c *cpioWriter) Dir(name string, perm uint32) error {
	name = clean(name)
	if c.made[name] {
		return nil
	}
	if err := c.parents(name); err != nil {
		return err
	}
	return c.entry(name, unix.S_IFDIR|perm, nil, 0)
}

// File writes a regular file.
func (c *cpioWriter) File(name string, perm uint32, data []byte) error {
	return c.child(name, unix.S_IFREG|perm, data, 0)
}

// Symlink writes a symbolic link; its target is its content.
func (c *cpioWriter) Symlink(name, target string) error {
	return c.child(name, unix.S_IFLNK|0o777, []byte(target), 0)
}

// CharDev writes a character device node. The kernel needs /dev/console before it
// starts init, to open file descriptors 0, 1 and 2.
func (c *cpioWriter) CharDev(name string, perm, major, minor uint32) error {
	return c.child(name, unix.S_IFCHR|perm, nil, unix.Mkdev(major, minor))
}

// Has tells whether an entry of that name was written.
func (c *cpioWriter) Has(name string) bool { return c.made[clean(name)] }

// Close writes the entry that ends an archive.
func (c *cpioWriter) Close() error { return c.entry("TRAILER!!!", 0, nil, 0) }

func (c *cpioWriter) child(name string, mode uint32, data []byte, dev uint64) error {
	name = clean(name)
	if c.made[name] {
		return fmt.Errorf("cpio archive: %s written twice", name)
	}
	if err := c.parents(name); err != nil {
		return err
	}
	return c.entry(name, mode, data, dev)
}

func (c *cpioWriter) parents(name string) error {
	if dir := path.Dir(name); dir != "." {
		return c.Dir(dir, 0o755)
	}
	return nil
}

func (c *cpioWriter) entry(name string, mode uint32, data []byte, dev uint64) error {
	c.made[name] = true
	c.inode++
	const noCheck = 0
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		c.inode, mode, 0, 0, 1, c.stamp.Unix(), len(data), 0, 0,
		unix.Major(dev), unix.Minor(dev), len(name)+1, noCheck, name)
	for _, part := range []string{header, pad4(len(header)), string(data), pad4(len(data))} {
		if _, err := io.WriteString(c.w, part); err != nil {
			return fmt.Errorf("cpio archive: write %s: %w", name, err)
		}
	}
	return nil
}

func pad4(n int) string { return "\x00\x00\x00"[:(4-n%4)%4] }

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }
