package volumedemo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Fill is the first use of a volume: if it is empty, it gets what the image has
// at the same place, with owners, modes and attributes, and so does the volume's
// own folder. rootfs is the container's root as it will be, without any mounts.
//
// It tells whether anything was copied. A bind mount is never filled: the host's
// folder is the host's.
//
// A crash in the middle would leave a volume that is neither empty nor whole, and
// so never filled again. A mark beside it says that it is at work; who finds the
// mark begins anew.
func (s *Store) Fill(p Point, rootfs string) (bool, error) {
	if p.Type != Volume || p.Volume.NoCopy || p.Volume.Subpath != "" {
		return false, nil
	}
	src, err := openIn(rootfs, p.Destination)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return false, nil // the image has nothing there
	}
	if err != nil {
		return false, err
	}
	defer src.Close()
	if info, err := src.Stat(); err != nil || !info.IsDir() {
		return false, err
	}
	filled, err := s.fillOnce(p.Name, src)
	if err != nil {
		return false, fmt.Errorf("copy the image's %s into volume %s: %w", p.Destination, p.Name, err)
	}
	return filled, nil
}

func (s *Store) fillOnce(name string, src *os.File) (bool, error) {
	data, err := os.Open(s.Data(name))
	if err != nil {
		return false, err
	}
	defer data.Close()
	// One at a time: of two containers that start on a new volume one fills it,
	// and the other waits until it is full (flock(2)).
	if err := unix.Flock(int(data.Fd()), unix.LOCK_EX); err != nil {
		return false, fmt.Errorf("flock: %w", err)
	}
	dst, err := asRoot(data)
	if err != nil {
		return false, err
	}
	defer dst.Close()
	mark := s.fillMark(name)
	if needed, err := needsFilling(dst, mark); !needed || err != nil {
		return false, err
	}
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		return false, err
	}
	if err := copyTree(dst, src); err != nil {
		return false, errors.Join(err, Clear(dst), os.Remove(mark))
	}
	return true, os.Remove(mark)
}

// fillMark is a file that exists while a volume is being filled.
func (s *Store) fillMark(name string) string { return filepath.Join(s.Dir, ".filling-"+name) }

// needsFilling clears what a crash left, and tells whether the volume is empty.
func needsFilling(dst *os.Root, mark string) (bool, error) {
	if _, err := os.Lstat(mark); err == nil {
		if err := Clear(dst); err != nil {
			return false, err
		}
	}
	entries, err := fs.ReadDir(dst.FS(), ".")
	return len(entries) == 0, err
}

// copyTree is Pack at one end of a pipe and Unpack at the other: what an archive
// keeps of a file is what a copy must keep.
func copyTree(dst *os.Root, src *os.File) error {
	from, err := asRoot(src)
	if err != nil {
		return err
	}
	defer from.Close()
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := Pack(from, w)
		w.CloseWithError(err) // a nil one is the end of the file
		packed <- err
	}()
	err = Unpack(dst, r)
	r.CloseWithError(err) // lets the packer end if we gave up
	return errors.Join(err, <-packed)
}
