package labs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/dmthin"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
)

// The labs on the device mapper share what stands here. Their devices and loop
// files carry the run in their names, since neither has a namespace: they are
// the real machine's, and the journal must know them again.

// runName is the beginning of the names of a run: $N in shell lines.
func runName(b *bench.Bench) string { return "cutaway-" + b.RunID() }

// named sets $N before the lines of a step, so that each step can be done by hand
// on its own.
func named(lines ...string) func(*bench.Bench) []string {
	return func(b *bench.Bench) []string { return append([]string{"N=" + runName(b)}, lines...) }
}

// dmName is the full name of a mapped device.
func dmName(b *bench.Bench, name string) string { return runName(b) + "-" + name }

// dmNode is its node: where dmsetup makes one, so that both ways meet.
func dmNode(b *bench.Bench, name string) string { return "/dev/mapper/" + dmName(b, name) }

// withDM opens the device mapper for the time of one act or view.
func withDM(do func(*dmthin.Control) error) error {
	c, err := dmthin.Open("/dev", "/dev/mapper")
	if err != nil {
		return err
	}
	return errors.Join(do(c), c.Close())
}

// undoDM are the undos for a mapped device and its node. The node comes first into
// the journal, so that it goes last.
func undoDM(b *bench.Bench, names ...string) []journal.Undo {
	var undos []journal.Undo
	for _, name := range names {
		undos = append(undos,
			journal.Undo{Kind: journal.RemoveFile, Path: dmNode(b, name)},
			journal.Undo{Kind: journal.RemoveDM, Name: dmName(b, name)})
	}
	return undos
}

// intendDM is undoDM for a step that makes nothing else.
func intendDM(names ...string) func(*bench.Bench) ([]journal.Undo, error) {
	return func(b *bench.Bench) ([]journal.Undo, error) { return undoDM(b, names...), nil }
}

// undoLoop is the undo for the loop device of a file in the scratch folder. Which
// device it will be, the kernel says when it is attached.
func undoLoop(b *bench.Bench, file string) journal.Undo {
	return journal.Undo{Kind: journal.DetachLoop, Backing: b.Path(file)}
}

// attachSparse makes a file of a hole and a loop device of it, whose path goes into
// NAME.loop for later shell lines.
func attachSparse(b *bench.Bench, name, file string, size int64) error {
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(file, size); err != nil {
		return err
	}
	loop, err := dmthin.AttachLoop("/dev", b.Path(file), dmthin.LoopOptions{})
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(name+".loop", []byte(loop.Path+"\n"), 0o644), loop.Release())
}

// attachLines do the same by hand.
func attachLines(name, file string, size int64) []string {
	return []string{
		fmt.Sprintf("truncate -s %d %s", size, file),
		fmt.Sprintf("losetup --find --show %s > %s.loop", file, name),
	}
}

// loopOf finds the loop device of a file in the scratch folder, whoever attached it.
func loopOf(b *bench.Bench, file string) (string, error) {
	attached, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return "", err
	}
	for _, path := range attached {
		if text, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(text)) == b.Path(file) {
			return "/dev/" + strings.Split(path, "/")[3], nil
		}
	}
	return "", fmt.Errorf("no loop device of %s: %w", file, os.ErrNotExist)
}

// tableFacts are the lines of a device's live table.
func tableFacts(b *bench.Bench, name string) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	err := withDM(func(c *dmthin.Control) error {
		table, err := c.Table(dmName(b, name))
		for i, line := range table {
			facts = append(facts, evidence.F(fmt.Sprintf("line %d", i+1), "dmsetup table "+dmName(b, name), line.String()))
		}
		return err
	})
	return facts, err
}

// sysBlock is a block device's folder in sysfs.
func sysBlock(device string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err != nil {
		return "", fmt.Errorf("stat %s: %w", device, err)
	}
	link := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	path, err := filepath.EvalSymlinks(link)
	return "/sys/block/" + filepath.Base(path), err
}
