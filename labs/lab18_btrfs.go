package labs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/unionfs/driver/btrfs"
)

var btrfsTool = bench.Tool{Program: "btrfs", Package: "btrfs-progs"}

// changedBytes is how much of the big file is written over.
const changedBytes = 1 << 20

func btrfsDiskStep() bench.Step {
	return bench.Step{
		Name: "btrfs-disk", Needs: needs("loop", "fs.btrfs"),
		Intend: intendDisk,
		Do:     mountBtrfs,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return append(attachDiskByHand(b), "mkfs.btrfs -q $(cat disk.loop)", "mkdir btrfs", "mount -t btrfs $(cat disk.loop) btrfs")
			},
			Tools: []bench.Tool{bench.Truncate, bench.Losetup, {Program: "mkfs.btrfs", Package: "btrfs-progs"}, bench.Mkdir, bench.Mount},
		},
		Look: []bench.View{{Title: "what the folder btrfs lies on", Read: readBtrfsMount}},
		Expect: []evidence.Expectation{
			evidence.Becomes("a btrfs is mounted there", "file system", evidence.Equals("btrfs")),
			evidence.Becomes("the folder is the root of a subvolume: its inode is 256", "inode of the folder", evidence.Equals("256")),
		},
	}
}

// mountBtrfs makes a file system on a loop device and mounts it.
func mountBtrfs(ctx context.Context, b *bench.Bench) error {
	if err := attachDisk(ctx, b); err != nil {
		return err
	}
	if err := runTool(ctx, bench.Tool{Program: "mkfs.btrfs", Package: "btrfs-progs"}, "-q", diskDevice(b)); err != nil {
		return err
	}
	if err := os.Mkdir("btrfs", 0o755); err != nil {
		return err
	}
	if err := unix.Mount(diskDevice(b), "btrfs", "btrfs", 0, ""); err != nil {
		return fmt.Errorf("mount(%s, btrfs, type btrfs): %w", diskDevice(b), err)
	}
	return nil
}

// runTool runs a program that has no replacement in Go, such as one that makes a
// file system.
func runTool(ctx context.Context, tool bench.Tool, args ...string) error {
	out, err := exec.CommandContext(ctx, tool.Program, args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return notInstalled(tool)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", tool.Program, strings.Join(args, " "), err, oneLine(string(out)))
	}
	return nil
}

func notInstalled(tool bench.Tool) error {
	return &evidence.CannotTest{Reason: "the program " + tool.Program + " is not installed", WayOut: "apt-get install " + tool.Package}
}

func readBtrfsMount(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	var st unix.Statfs_t
	if err := unix.Statfs("btrfs", &st); err != nil {
		return nil, err
	}
	kind := fmt.Sprintf("another one (%#x)", st.Type)
	if st.Type == unix.BTRFS_SUPER_MAGIC {
		kind = "btrfs"
	}
	return []evidence.Fact{
		evidence.F("file system", "stat -f btrfs", kind),
		evidence.F("inode of the folder", "ls -id btrfs", inodeOf("btrfs")),
	}, nil
}

func btrfsBaseStep() bench.Step {
	return bench.Step{
		Name: "subvolume", Needs: needs("loop", "fs.btrfs"),
		Do: makeBtrfsBase,
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"btrfs quota enable btrfs",
				"mkdir btrfs/subvolumes",
				"btrfs subvolume create btrfs/subvolumes/base",
				"head -c 8M /dev/urandom > btrfs/subvolumes/base/big",
			),
			Tools: []bench.Tool{btrfsTool, bench.Mkdir, {Program: "head", Package: "coreutils"}},
		},
		Look: []bench.View{btrfsPlaces("base"), btrfsBytes("base")},
		Expect: []evidence.Expectation{
			evidence.Becomes("the layer is a subvolume", "base: id", evidence.AtLeast(256)),
			evidence.Is("it was made from no other one", "base: made from", evidence.Equals("none")),
			evidence.Becomes("its blocks are its own: exclusive is as large as the file", "base: exclusive, KiB", evidence.AtLeast(8192)),
		},
	}
}

// makeBtrfsBase has the kernel count bytes for each subvolume, and makes the first.
func makeBtrfsBase(_ context.Context, b *bench.Bench) error {
	if err := btrfs.EnableQuota("btrfs"); err != nil {
		return err
	}
	d, err := btrfs.Open(b.Path("btrfs"))
	if err != nil {
		return err
	}
	return add(d, layerBase)
}

func btrfsSnapshotStep() bench.Step {
	return bench.Step{
		Name: "snapshot", Needs: needs("loop", "fs.btrfs"), Reproduces: []string{"drv-btrfs"},
		Do: func(_ context.Context, b *bench.Bench) error {
			d, err := btrfs.Open(b.Path("btrfs"))
			if err != nil {
				return err
			}
			return add(d, layerApp)
		},
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"btrfs subvolume snapshot btrfs/subvolumes/base btrfs/subvolumes/app",
				"head -c 64K /dev/urandom > btrfs/subvolumes/app/program",
				"btrfs filesystem sync btrfs",
				"btrfs subvolume list -uq btrfs",
				"btrfs qgroup show btrfs",
			),
			Tools: []bench.Tool{btrfsTool, {Program: "head", Package: "coreutils"}},
		},
		Look: []bench.View{btrfsPlaces("base", "app"), btrfsBytes("base", "app")},
		Expect: []evidence.Expectation{
			evidence.Custom("the new subvolume names base as the one that it was made from", []string{"app: made from", "base: uuid"}, func(o evidence.Observed) evidence.Verdict {
				from, base := o.After.Value("app: made from"), o.After.Value("base: uuid")
				return evidence.Judged(from == base && base != evidence.Absent, "the uuid of base, "+base, from)
			}),
			evidence.Becomes("it refers to all of base and its own file", "app: referenced, KiB", evidence.AtLeast(8192+64)),
			evidence.Becomes("only its own file is exclusive to it", "app: exclusive, KiB", evidence.Between(64, 1023)),
			evidence.Becomes("the blocks of base are not exclusive to base any more: they belong to both", "base: exclusive, KiB", evidence.Between(0, 1023)),
			evidence.AlwaysIs("base still refers to all of them", "base: referenced, KiB", evidence.AtLeast(8192)),
		},
	}
}

func btrfsWriteStep() bench.Step {
	return bench.Step{
		Name: "overwrite", Needs: needs("loop", "fs.btrfs"), Reproduces: []string{"drv-btrfs"},
		Do: func(context.Context, *bench.Bench) error { return writeOver("btrfs/subvolumes/app/big") },
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"dd if=/dev/urandom of=btrfs/subvolumes/app/big bs=1M count=1 seek=2 conv=notrunc",
				"btrfs filesystem sync btrfs",
				"btrfs filesystem du --raw btrfs/subvolumes/base/big btrfs/subvolumes/app/big",
			),
			Tools: []bench.Tool{bench.DD, btrfsTool},
		},
		Look: []bench.View{
			btrfsBytes("base", "app"),
			{Title: "the big file", Read: readBigIn("btrfs/subvolumes/base/big", "btrfs/subvolumes/app/big")},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("what was written over is now exclusive to app: 1 MiB, not the whole file of 8", "app: exclusive, KiB", evidence.Between(1024, 2048)),
			changes("app's file has changed", "app's file, sha256"),
			evidence.Keeps("base's file has not", "base's file, sha256"),
		},
	}
}

// changes claims that the act replaced a value by another one.
func changes(claim, fact string) evidence.Expectation {
	return evidence.Custom(claim, []string{fact}, func(o evidence.Observed) evidence.Verdict {
		before, after := o.Before.Value(fact), o.After.Value(fact)
		return evidence.Judged(before != evidence.Absent && after != evidence.Absent && before != after, fact+" other than before", after)
	})
}

// writeOver replaces a part in the middle of a file.
func writeOver(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteAt(randomBytes(changedBytes), 2*changedBytes)
	return errors.Join(err, file.Sync())
}

// btrfsPlaces reads where the subvolumes stand among each other.
func btrfsPlaces(layers ...string) bench.View {
	return bench.View{Title: "subvolumes", Read: eachLayer(subvolumeFacts, layers)}
}

// btrfsBytes reads what the quota groups count.
func btrfsBytes(layers ...string) bench.View {
	return bench.View{Title: "bytes counted for each subvolume", Read: eachLayer(qgroupFacts, layers)}
}

// eachLayer reads one layer after the other. Those that are not there yet are left out.
func eachLayer(read func(name string) ([]evidence.Fact, error), layers []string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(context.Context, *bench.Bench) (facts []evidence.Fact, err error) {
		for _, name := range layers {
			more, readErr := read(name)
			facts, err = append(facts, more...), errors.Join(err, readErr)
		}
		return facts, err
	}
}

func subvolumeFacts(name string) ([]evidence.Fact, error) {
	dir := "btrfs/subvolumes/" + name
	if ours, err := btrfs.IsSubvolume(dir); err != nil || !ours {
		return nil, err
	}
	v, err := btrfs.ReadSubvolume(dir)
	if err != nil {
		return nil, err
	}
	from := v.ParentUUID
	if from == "" {
		from = "none"
	}
	show := "btrfs subvolume show " + dir
	return []evidence.Fact{
		evidence.F(name+": id", show, fmt.Sprint(v.ID)),
		evidence.F(name+": uuid", show, v.UUID),
		evidence.F(name+": made from", show+" (Parent UUID)", from),
	}, nil
}

func qgroupFacts(name string) ([]evidence.Fact, error) {
	dir := "btrfs/subvolumes/" + name
	if ours, err := btrfs.IsSubvolume(dir); err != nil || !ours {
		return nil, err
	}
	s, err := btrfs.ReadSpace(dir)
	if err != nil {
		return nil, err
	}
	show := fmt.Sprintf("btrfs qgroup show btrfs, line 0/%d", s.ID)
	return []evidence.Fact{
		evidence.F(name+": referenced, KiB", show, fmt.Sprint(s.Referenced>>10)),
		evidence.F(name+": exclusive, KiB", show, fmt.Sprint(s.Exclusive>>10)),
	}, nil
}

// sha256Of is what a file holds, in one word: the beginning of its sum.
func sha256Of(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return evidence.Absent
	}
	return fmt.Sprintf("%.12x...", sha256.Sum256(content))
}

// readBigIn compares the big file of base and of app by their content.
func readBigIn(base, app string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
		return []evidence.Fact{
			evidence.F("base's file, sha256", "sha256sum "+base, sha256Of(base)),
			evidence.F("app's file, sha256", "sha256sum "+app, sha256Of(app)),
		}, nil
	}
}
