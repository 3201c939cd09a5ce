package dmthin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// LoopOptions say how a file becomes a block device.
type LoopOptions struct {
	ReadOnly bool
	// DirectIO goes around the page cache, which otherwise holds each block twice:
	// for the file and for the device. Only if the file's file system can; look at
	// LoopInfo.DirectIO.
	DirectIO bool
	// Autoclear detaches the file when nobody has the device open any more; a
	// process that dies leaves nothing then. A Loop has it open until it is closed.
	Autoclear     bool
	Offset, Limit uint64 // bytes; Limit 0 is to the end of the file
	BlockSize     uint32 // bytes, 0 for 512
}

func (o LoopOptions) flags() (flags uint32) {
	for _, f := range []struct {
		on  bool
		bit uint32
	}{
		{o.ReadOnly, unix.LO_FLAGS_READ_ONLY}, {o.DirectIO, unix.LO_FLAGS_DIRECT_IO}, {o.Autoclear, unix.LO_FLAGS_AUTOCLEAR},
	} {
		if f.on {
			flags |= f.bit
		}
	}
	return flags
}

// Loop is a loop device that is open here.
type Loop struct {
	Path string // /dev/loopN
	dev  *os.File
}

// loopRaces bounds how often another program may take the free device first.
const loopRaces = 16

// AttachLoop makes a block device of a file (loop(4)): LOOP_CTL_GET_FREE on
// <dev>/loop-control finds a free one, LOOP_CONFIGURE (Linux 5.8) ties the file to it
// with all options at once. Between the two, another program may take it; then
// the kernel says EBUSY and we ask again.
func AttachLoop(dev, file string, o LoopOptions) (*Loop, error) {
	mode := os.O_RDWR
	if o.ReadOnly {
		mode = os.O_RDONLY
	}
	backing, err := os.OpenFile(file, mode, 0)
	if err != nil {
		return nil, err
	}
	defer backing.Close() // the device holds it from then on
	control, err := os.OpenFile(filepath.Join(dev, "loop-control"), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range loopRaces {
		var l *Loop
		if l, err = attachFree(dev, control, backing, mode, o); !errors.Is(err, unix.EBUSY) {
			return l, err
		}
	}
	return nil, err
}

func attachFree(dev string, control, backing *os.File, mode int, o LoopOptions) (*Loop, error) {
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("ioctl(%s, LOOP_CTL_GET_FREE): %w", control.Name(), err)
	}
	l := &Loop{Path: filepath.Join(dev, fmt.Sprintf("loop%d", number))}
	if l.dev, err = os.OpenFile(l.Path, mode, 0); err != nil {
		return nil, err
	}
	config := unix.LoopConfig{Fd: uint32(backing.Fd()), Size: o.BlockSize}
	config.Info = unix.LoopInfo64{Offset: o.Offset, Sizelimit: o.Limit, Flags: o.flags()}
	// What losetup shows; the whole path is in /sys/block/loopN/loop/backing_file.
	copy(config.Info.File_name[:len(config.Info.File_name)-1], backing.Name())
	if err := unix.IoctlLoopConfigure(int(l.dev.Fd()), &config); err != nil {
		return nil, errors.Join(fmt.Errorf("ioctl(%s, LOOP_CONFIGURE, %s, %+v): %w", l.Path, backing.Name(), o, err), l.dev.Close())
	}
	return l, nil
}

// Resize takes the file's new size over (ioctl LOOP_SET_CAPACITY).
func (l *Loop) Resize() error {
	if err := unix.IoctlSetInt(int(l.dev.Fd()), unix.LOOP_SET_CAPACITY, 0); err != nil {
		return fmt.Errorf("ioctl(%s, LOOP_SET_CAPACITY): %w", l.Path, err)
	}
	return nil
}

// Detach frees the device (ioctl LOOP_CLR_FD) and closes it; a second time does
// nothing. While somebody else has it open, the kernel says yes and frees it when the
// last one closes it.
func (l *Loop) Detach() error {
	if l.dev == nil {
		return nil
	}
	err := unix.IoctlSetInt(int(l.dev.Fd()), unix.LOOP_CLR_FD, 0)
	switch {
	case errors.Is(err, unix.ENXIO):
		err = nil // it was free already
	case err != nil:
		err = fmt.Errorf("ioctl(%s, LOOP_CLR_FD): %w", l.Path, err)
	}
	err = errors.Join(err, l.dev.Close())
	l.dev = nil
	return err
}

// Release closes the device here and leaves the file attached, for others. Without
// Autoclear it stays so until somebody detaches it.
func (l *Loop) Release() error {
	if l.dev == nil {
		return nil
	}
	err := l.dev.Close()
	l.dev = nil
	return err
}

// LoopInfo is what the kernel says of a loop device.
type LoopInfo struct {
	File          string // "" when no file is attached
	Deleted       bool   // the file was unlinked, its blocks live on
	Sectors       uint64
	Offset, Limit uint64 // bytes
	ReadOnly      bool
	DirectIO      bool
	Autoclear     bool
}

// ReadLoop reads <sys>/block/loopN (Documentation/ABI/testing/sysfs-block-loop).
func ReadLoop(sys, name string) (LoopInfo, error) {
	dir := filepath.Join(sys, "block", name)
	file, err := os.ReadFile(filepath.Join(dir, "loop/backing_file"))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return LoopInfo{}, err
		}
		return LoopInfo{}, nil
	}
	if err != nil {
		return LoopInfo{}, err
	}
	var info LoopInfo
	info.File, info.Deleted = strings.CutSuffix(strings.TrimSuffix(string(file), "\n"), " (deleted)")
	return info, errors.Join(
		readNumber(dir, "size", &info.Sectors), readNumber(dir, "loop/offset", &info.Offset),
		readNumber(dir, "loop/sizelimit", &info.Limit), readFlag(dir, "ro", &info.ReadOnly),
		readFlag(dir, "loop/dio", &info.DirectIO), readFlag(dir, "loop/autoclear", &info.Autoclear))
}

func readNumber(dir, name string, to *uint64) error {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	w := words{rest: strings.Fields(string(data))}
	*to = w.number(64)
	return w.err
}

func readFlag(dir, name string, to *bool) error {
	var n uint64
	err := readNumber(dir, name, &n)
	*to = n != 0
	return err
}
