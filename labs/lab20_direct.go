package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/dmthin"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
)

// The disk of the direct step is cut in two: one piece with a file system, for a pool
// on two files in it, and one that is a pool as it is. So both stand on the same
// disk when they are compared. In sectors.
const (
	fsPiece     = 512 << 11 // 512 MiB
	directPiece = 104 << 11 // 104 MiB, the "whole disk" of the direct pool
	measured    = 96 << 20  // bytes of the thin devices that are compared
)

// wholeDisk is the empty disk that a VM of cutaway brings. Elsewhere a loop device on a
// file stands in for one: a learner's own disks are nothing to experiment with.
func wholeDisk(b *bench.Bench) (device, file string) {
	size, err := dmthin.DeviceSize("/dev/vda")
	if b.Where == "vm" && err == nil && size >= (fsPiece+directPiece)*512 {
		return "/dev/vda", ""
	}
	return "", runName(b) + "-whole.img"
}

// wholeDiskLines set $DISK by hand.
func wholeDiskLines(b *bench.Bench) []string {
	device, file := wholeDisk(b)
	if file == "" {
		return []string{"DISK=" + device}
	}
	return append(attachLines("whole", file, (fsPiece+directPiece)*512), "read DISK < whole.loop")
}

// directSplit is how the direct pool's disk is divided, and the table of its data.
func directSplit() (metadata, data dmthin.Extent) {
	metadata, data, _, err := dmthin.Split(directPiece)
	if err != nil {
		panic(err) // a constant that is large enough
	}
	return metadata, data
}

// loopLVM is where the file system of the first piece is mounted. The pool's files are
// in a folder there that carries the run: once the lab's mount namespace is gone, the
// kernel knows the way to them from the root of that file system only.
func loopLVM(b *bench.Bench) string { return runName(b) + "/loop-lvm" }

func loopLVMFiles(b *bench.Bench) string { return loopLVM(b) + "/" + runName(b) }

func directStep() bench.Step {
	return bench.Step{
		Name: "direct", Reproduces: []string{"dm-direct"}, Intend: intendDirect,
		Do:     startBothPools,
		ByHand: bench.ByHand{Lines: directLines, Tools: []bench.Tool{bench.Truncate, bench.Losetup, bench.Dmsetup, bench.MkfsExt4, bench.Mkdir, bench.Mount, bench.DD, bench.Cat}},
		Look: []bench.View{
			{Title: "how the disk of the direct pool is divided", Read: readSplit},
			{Title: "the two pools", Columns: []string{"loop-lvm", "direct-lvm"}, Read: readBothPools},
			{Title: "3 MiB written to each and waited for, 128 KiB at a time", Columns: []string{"loop-lvm", "direct-lvm"}, Read: measureBothPools},
		},
		Expect: []evidence.Expectation{
			evidence.Custom("95 % of the disk are for data", []string{"data, sectors"}, share("data, sectors", 94, 95)),
			evidence.Custom("and at least 1 % for metadata", []string{"metadata, sectors"}, share("metadata, sectors", 1, 2)),
			evidence.Custom("both pools are at work", []string{"mode of the pool"}, func(o evidence.Observed) evidence.Verdict {
				a, z := o.After.Column("mode of the pool", 0), o.After.Column("mode of the pool", 1)
				return evidence.Judged(a == "rw" && z == "rw", "rw and rw", a+" and "+z)
			}),
			evidence.ColumnsDiffer("the loop pool's writes go through a file system, the direct one's do not", "between pool and disk", 0, 1),
			evidence.Custom("what is waited for makes that file system commit its journal, too", []string{"journal commits in between"}, func(o evidence.Observed) evidence.Verdict {
				commits, ok := evidence.Number(o.After.Column("journal commits in between", 0))
				return evidence.Judged(ok && commits >= measureRounds*measureWrites/4, "a commit for every fourth write or more", o.After.Column("journal commits in between", 0))
			}),
			evidence.Custom("so the direct pool takes less time for the same", []string{"seconds"}, func(o evidence.Observed) evidence.Verdict {
				loop, _ := evidence.Number(o.After.Column("seconds", 0))
				direct, ok := evidence.Number(o.After.Column("seconds", 1))
				return evidence.Judged(ok && direct > 0 && loop > direct, "direct-lvm below loop-lvm", fmt.Sprintf("%g and %g s", direct, loop))
			}),
		},
	}
}

// share judges how many percent of the direct pool's disk a fact is.
func share(fact string, low, high float64) func(evidence.Observed) evidence.Verdict {
	return func(o evidence.Observed) evidence.Verdict {
		sectors, ok := evidence.Number(o.After.Value(fact))
		percent := sectors * 100 / directPiece
		return evidence.Judged(ok && percent >= low && percent <= high, fmt.Sprintf("%g to %g %%", low, high), fmt.Sprintf("%.1f %%", percent))
	}
}

func intendDirect(b *bench.Bench) ([]journal.Undo, error) {
	var undos []journal.Undo
	if _, file := wholeDisk(b); file != "" {
		undos = append(undos, undoLoop(b, file))
	}
	undos = append(undos, undoDM(b, "fs", "raw")...)
	undos = append(undos, journal.Undo{Kind: journal.Umount, Path: b.Path(loopLVM(b))},
		undoLoop(b, loopLVMFiles(b)+"/metadata"), undoLoop(b, loopLVMFiles(b)+"/data"))
	undos = append(undos, undoPool(b, "onloop")...)
	undos = append(undos, undoDM(b, "direct_tmeta", "direct_tdata")...)
	undos = append(undos, undoPool(b, "direct")...)
	return append(undos, undoDM(b, "onloop-1", "direct-1")...), nil
}

// startBothPools cuts the disk in two and starts a pool on either piece.
func startBothPools(_ context.Context, b *bench.Bench) error {
	disk, file := wholeDisk(b)
	if file != "" {
		if err := attachSparse(b, "whole", file, (fsPiece+directPiece)*512); err != nil {
			return err
		}
		var err error
		if disk, err = loopOf(b, file); err != nil {
			return err
		}
	}
	return withDM(func(c *dmthin.Control) error {
		_, errFS := c.Start(dmName(b, "fs"), "", dmthin.One(fsPiece, dmthin.Linear{Device: disk}), false)
		_, errRaw := c.Start(dmName(b, "raw"), "", dmthin.One(directPiece, dmthin.Linear{Device: disk, Offset: fsPiece}), false)
		if err := errors.Join(errFS, errRaw); err != nil {
			return err
		}
		return errors.Join(startOnLoop(c, b), startDirect(c, b))
	})
}

// startOnLoop puts a pool on two sparse files in a file system: loop-lvm.
func startOnLoop(c *dmthin.Control, b *bench.Bench) error {
	dir := b.Path(loopLVM(b))
	if err := errors.Join(os.MkdirAll(dir, 0o755), dmthin.MakeFileSystem("ext4", dmNode(b, "fs"))); err != nil {
		return err
	}
	if err := unix.Mount(dmNode(b, "fs"), dir, "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount %s at %s: %w", dmNode(b, "fs"), dir, err)
	}
	store, err := dmthin.OpenLoopStore("/dev", dmthin.LoopSpec{Dir: b.Path(loopLVMFiles(b)), Data: measured * 4 / 3, Metadata: poolMetadata})
	if err != nil {
		return err
	}
	return errors.Join(startWithThin(c, b, store, "onloop", nil), store.Release())
}

// startDirect puts a pool on the other piece as it is: direct-lvm. LVM would make two
// volumes of it; a volume is a linear device.
func startDirect(c *dmthin.Control, b *bench.Bench) error {
	store, err := dmthin.OpenDirectStore(c, dmthin.DirectSpec{Name: dmName(b, "direct"), Device: dmNode(b, "raw"), Wipe: true})
	if err != nil {
		return err
	}
	return startWithThin(c, b, store, "direct", extendPolicy())
}

// startWithThin starts a pool with one thin device in it.
func startWithThin(c *dmthin.Control, b *bench.Bench, store dmthin.Store, name string, policy *dmthin.Autoextend) error {
	pool, err := dmthin.StartPool(c, store, dmthin.PoolSpec{Name: dmName(b, name), Autoextend: policy})
	if err != nil {
		return err
	}
	if err := pool.CreateThin(1); err != nil {
		return err
	}
	_, err = pool.Activate(dmName(b, name+"-1"), 1, 2*measured)
	return err
}

// directLines do the same by hand.
func directLines(b *bench.Bench) []string {
	meta, data := directSplit()
	lines := append(wholeDiskLines(b),
		fmt.Sprintf(`echo "0 %d linear $DISK 0" | dmsetup create --verifyudev $N-fs`, fsPiece),
		fmt.Sprintf(`echo "0 %d linear $DISK %d" | dmsetup create --verifyudev $N-raw`, directPiece, fsPiece),
		"mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 /dev/mapper/$N-fs",
		"mkdir -p $N/loop-lvm",
		"mount -t ext4 /dev/mapper/$N-fs $N/loop-lvm",
		"mkdir $N/loop-lvm/$N")
	lines = append(lines, attachLines("onloop-metadata", "$N/loop-lvm/$N/metadata", poolMetadata)...)
	lines = append(lines, attachLines("onloop-data", "$N/loop-lvm/$N/data", measured*4/3)...)
	lines = append(lines,
		poolLine("onloop", measured*4/3/512, "$(cat onloop-metadata.loop)", "$(cat onloop-data.loop)", 0),
		fmt.Sprintf(`echo "0 %d linear /dev/mapper/$N-raw %d" | dmsetup create --verifyudev $N-direct_tmeta`, meta.Length, meta.Start),
		fmt.Sprintf(`echo "0 %d linear /dev/mapper/$N-raw %d" | dmsetup create --verifyudev $N-direct_tdata`, data.Length, data.Start),
		"dd if=/dev/zero of=/dev/mapper/$N-direct_tmeta bs=4k count=1 conv=fsync status=none",
		poolLine("direct", data.Length, "/dev/mapper/$N-direct_tmeta", "/dev/mapper/$N-direct_tdata", extendPolicy().LowWater(data.Length/128)))
	for _, pool := range []string{"onloop", "direct"} {
		lines = append(lines,
			fmt.Sprintf(`dmsetup message $N-%s 0 "create_thin 1"`, pool),
			thinLine(pool, pool+"-1", 1, 2*measured/512))
	}
	return named(lines...)(b)
}

func poolLine(name string, sectors uint64, metadata, data string, lowWater uint64) string {
	return fmt.Sprintf(`echo "0 %d thin-pool %s %s 128 %d" | dmsetup create --verifyudev --uuid %s $N-%s`,
		sectors, metadata, data, lowWater, poolUUID("$N-"+name), name)
}

func readSplit(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	for _, part := range []struct{ fact, device string }{{"the disk, sectors", "raw"}, {"metadata, sectors", "direct_tmeta"}, {"data, sectors", "direct_tdata"}} {
		size, err := dmthin.DeviceSize(dmNode(b, part.device))
		if err != nil {
			return facts, err
		}
		facts = append(facts, evidence.F(part.fact, "blockdev --getsz "+dmNode(b, part.device), fmt.Sprint(size/512)))
	}
	return facts, nil
}

// readBothPools puts the status of both side by side, and what they stand on.
func readBothPools(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	loop, err := poolFacts(b, "onloop")
	if err != nil {
		return nil, err
	}
	direct, err := poolFacts(b, "direct")
	if err != nil || len(loop) != len(direct) {
		return nil, err
	}
	var facts []evidence.Fact
	for i := range loop {
		facts = append(facts, evidence.F(loop[i].Name, "dmsetup status", loop[i].Value(), direct[i].Value()))
	}
	below := func(name string) (string, error) {
		sys, err := sysBlock(dmNode(b, name))
		if err != nil {
			return "", err
		}
		slaves, err := os.ReadDir(sys + "/slaves")
		var kinds []string
		for _, s := range slaves {
			kinds = append(kinds, kindOfDevice(s.Name()))
		}
		slices.Sort(kinds)
		return strings.Join(slices.Compact(kinds), ", "), err
	}
	a, errA := below("onloop")
	z, errZ := below("direct")
	return append(facts, evidence.F("between pool and disk", "ls /sys/block/dm-N/slaves", a, z)), errors.Join(errA, errZ)
}

// kindOfDevice says what a device that a pool stands on is.
func kindOfDevice(name string) string {
	if _, err := os.Stat("/sys/block/" + name + "/loop/backing_file"); err == nil {
		return "loop device on a file"
	}
	return "linear device on the disk"
}

// What is written to compare the pools: a few pieces to the one, then to the other,
// and again, so that a busy moment of the machine hits both.
const (
	measureRounds = 3
	measureWrites = 8
	measurePiece  = 128 << 10
)

// measureBothPools writes to both thin devices, where nothing has been written yet,
// and waits for each piece (fsync(2)), as a database in a container would.
func measureBothPools(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	thin := []string{"onloop-1", "direct-1"}
	var took [2]time.Duration
	before, err := journalCommits(b)
	if err != nil {
		return nil, err
	}
	for round := range int64(measureRounds) {
		for i, name := range thin {
			start := time.Now()
			for n := range int64(measureWrites) {
				if err := writeAt(dmNode(b, name), (round*measureWrites+n)*measurePiece, make([]byte, measurePiece)); err != nil {
					return nil, err
				}
			}
			took[i] += time.Since(start)
		}
	}
	after, err := journalCommits(b)
	seconds := func(i int) string { return fmt.Sprintf("%.2f", took[i].Seconds()) }
	return []evidence.Fact{
		evidence.F("journal commits in between", "/proc/fs/jbd2/dm-N-8/info", fmt.Sprint(after-before), "no file system"),
		evidence.F("seconds", "clock_gettime(2)", seconds(0), seconds(1)),
	}, err
}

// journalCommits counts the transactions of the file system that the loop pool's
// files are in.
func journalCommits(b *bench.Bench) (n int64, err error) {
	sys, err := sysBlock(dmNode(b, "fs"))
	if err != nil {
		return 0, err
	}
	files, err := filepath.Glob("/proc/fs/jbd2/" + filepath.Base(sys) + "-*/info")
	if err != nil || len(files) != 1 {
		return 0, fmt.Errorf("no journal of %s below /proc/fs/jbd2: %w", sys, os.ErrNotExist)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(string(text), &n)
	return n, err
}
