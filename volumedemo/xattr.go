package volumedemo

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// readXattrs reads all extended attributes of an open file (flistxattr(2),
// fgetxattr(2)). overlayfs's own marks are of the layer, not of the file, and a
// file system without attributes has none.
func readXattrs(f *os.File) (map[string]string, error) {
	list, err := grow(func(b []byte) (int, error) { return unix.Flistxattr(int(f.Fd()), b) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("flistxattr: %w", err)
	}
	attrs := map[string]string{}
	for raw := range bytes.SplitSeq(bytes.TrimRight(list, "\x00"), []byte{0}) {
		name := string(raw)
		if name == "" || isOverlay(name) {
			continue
		}
		value, err := grow(func(b []byte) (int, error) { return unix.Fgetxattr(int(f.Fd()), name, b) })
		if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EPERM) {
			continue // taken off meanwhile, or not ours to read
		}
		if err != nil {
			return nil, fmt.Errorf("fgetxattr %s: %w", name, err)
		}
		attrs[name] = string(value)
	}
	return attrs, nil
}

func isOverlay(name string) bool {
	return strings.HasPrefix(name, "trusted.overlay.") || strings.HasPrefix(name, "user.overlay.")
}

// grow reads something whose length can change between asking and reading.
func grow(read func([]byte) (int, error)) ([]byte, error) {
	for size := 256; ; size *= 4 {
		b := make([]byte, size)
		n, err := read(b)
		if err == unix.ERANGE && size < 1<<20 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return b[:n], nil
	}
}
