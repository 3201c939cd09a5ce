package labs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
)

// The labs that need one disk of their own share what stands here: a file in the
// scratch folder with a loop device over it. The file is a hole, and takes memory
// only for what is written.
const diskBytes = 256 << 20

// diskFile is in the scratch folder. Its name carries the run, so that the
// undo knows the device again.
func diskFile(b *bench.Bench) string { return "cutaway-disk-" + b.RunID() + ".img" }

// diskDevice is the loop device of that file, whoever attached it. Before it is
// attached, any name will do to show what one would type.
func diskDevice(b *bench.Bench) string {
	if device, err := loopOf(b, diskFile(b)); err == nil {
		return device
	}
	return "/dev/loop0"
}

// intendDisk is the undo: to detach the device that has our file.
func intendDisk(b *bench.Bench) ([]journal.Undo, error) {
	return []journal.Undo{undoLoop(b, diskFile(b))}, nil
}

// attachDisk makes the file and puts a loop device over it.
func attachDisk(_ context.Context, b *bench.Bench) error {
	return attachSparse(b, "disk", diskFile(b), diskBytes)
}

// attachDiskByHand are the shell lines that do the same; disk.loop then has the
// device's name.
func attachDiskByHand(b *bench.Bench) []string { return attachLines("disk", diskFile(b), diskBytes) }

// readLoopDisk asks the block layer what the device is made of.
func readLoopDisk(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	device, err := loopOf(b, diskFile(b))
	if err != nil {
		return nil, err
	}
	sys := "/sys/block/" + filepath.Base(device)
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
