package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
)

// The labs that need a disk of their own share what stands here: a file in the
// scratch folder with a loop device over it. The file is a hole, and takes memory
// only for what is written.
const diskBytes = 256 << 20

// diskFile is in the scratch folder. Its name carries the run, so that the
// undo knows the device again.
func diskFile(b *bench.Bench) string { return "cutaway-disk-" + b.RunID() + ".img" }

// diskDevice is the device that was free when the step was announced.
func diskDevice(b *bench.Bench) string {
	if path := bench.Get[string](b, "disk"); path != "" {
		return path
	}
	return "/dev/loop0"
}

// intendDisk asks the kernel for a free number (ioctl LOOP_CTL_GET_FREE, loop(4)).
func intendDisk(b *bench.Bench) ([]journal.Undo, error) {
	control, err := os.Open("/dev/loop-control")
	if err != nil {
		return nil, err
	}
	defer control.Close()
	n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("ioctl(LOOP_CTL_GET_FREE): %w", err)
	}
	path := fmt.Sprintf("/dev/loop%d", n)
	b.Set("disk", path)
	return []journal.Undo{{Kind: journal.DetachLoop, Path: path, Backing: b.Path(diskFile(b))}}, nil
}

// attachDisk makes the file and puts the loop device over it. The number may
// have been taken in the meantime: then another one is asked for, on record.
func attachDisk(_ context.Context, b *bench.Bench) error {
	file, err := os.OpenFile(diskFile(b), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Truncate(diskBytes); err != nil {
		return err
	}
	for range 20 {
		err = configureLoop(diskDevice(b), file)
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		undos, err := intendDisk(b)
		if err != nil {
			return err
		}
		if err := b.Intend(undos[0]); err != nil {
			return err
		}
	}
	return err
}

// attachDiskByHand are the shell lines that do the same.
func attachDiskByHand(b *bench.Bench) []string {
	return []string{
		fmt.Sprintf("truncate -s %d %s", diskBytes, diskFile(b)),
		"losetup " + diskDevice(b) + " " + diskFile(b),
	}
}

// configureLoop is ioctl LOOP_CONFIGURE, loop(4): one call for the file and
// all settings (Linux 5.8).
func configureLoop(device string, file *os.File) error {
	dev, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer dev.Close()
	config := unix.LoopConfig{Fd: uint32(file.Fd())}
	copy(config.Info.File_name[:], file.Name())
	if err := unix.IoctlLoopConfigure(int(dev.Fd()), &config); err != nil {
		return fmt.Errorf("ioctl(%s, LOOP_CONFIGURE, %s): %w", device, file.Name(), err)
	}
	return nil
}

// readLoopDisk asks the block layer what the device is made of.
func readLoopDisk(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	sys := "/sys/block/" + filepath.Base(diskDevice(b))
	backing, err := os.ReadFile(sys + "/loop/backing_file")
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("backing file", sys+"/loop/backing_file", strings.TrimSpace(string(backing)))}
	var sectors int64
	text, err := os.ReadFile(sys + "/size")
	fmt.Sscan(string(text), &sectors)
	return append(facts, evidence.F("size, bytes", sys+"/size, times 512", fmt.Sprint(sectors*512))), err
}
