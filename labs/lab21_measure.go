package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
	"cutaway/unionfs"
)

func blockStep() bench.Step {
	return bench.Step{
		Name: "block", Reproduces: []string{"drv-compare"}, Needs: needs("dm.thin-pool", "dm.thin"),
		Intend: func(b *bench.Bench) ([]journal.Undo, error) {
			undos, err := poolStep().Intend(b)
			undos = append(undos, undoDM(b, "base")...)
			return append(undos, append(undoLayer(b, "image"), undoLayer(b, "box")...)...), err
		},
		Do: func(ctx context.Context, b *bench.Bench) error {
			if err := startLabPool(ctx, b); err != nil {
				return err
			}
			return withCompared(b, "devicemapper", func(d unionfs.Driver) error { return buildStack(b, d) })
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				lines := append(poolStep().ByHand.Lines(b), baseStep().ByHand.Lines(b)[1:]...)
				lines = append(lines, snapLines("image", 2, 1)...)
				lines = append(lines, "mkdir $N/devicemapper/mnt/image/rootfs", "cp -a files/. $N/devicemapper/mnt/image/rootfs")
				lines = append(lines, closeLines("image")...)
				lines = append(lines, snapLines("box", 3, 2)...)
				return append(lines, "ln -s $N/devicemapper/mnt/box/rootfs box-devicemapper")
			},
			Tools: append(slices.Clone(poolStep().ByHand.Tools), bench.MkfsExt4, bench.Blkid, bench.Mount, bench.Umount, bench.Rmdir, copier, linker),
		},
		Look: []bench.View{{Title: "the container of each driver", Columns: []string{"file system", "files that it sees", "KiB in the store"},
			Read: func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) { return stackFacts(b, "devicemapper") }}},
		Expect: []evidence.Expectation{
			seesTheImage("devicemapper"),
			evidence.Custom("it lies on a file system of its own, an ext4", []string{"devicemapper"}, func(o evidence.Observed) evidence.Verdict {
				return evidence.Judged(o.After.Column("devicemapper", 0) == "extfs", "extfs", o.After.Column("devicemapper", 0))
			}),
		},
	}
}

func firstWriteStep() bench.Step {
	return bench.Step{
		Name: "first-write", Reproduces: []string{"drv-compare"},
		Do: func(_ context.Context, b *bench.Bench) error {
			return eachBox(b, func(_, box string) error {
				mib := largestMiB(b)
				return writeAt(box+"/"+largeName(mib), int64(mib)<<19, []byte("X"))
			})
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				mib := largestMiB(b)
				return []string{fmt.Sprintf("for BOX in box-*; do printf X | dd of=$BOX/%s bs=1 seek=%d conv=notrunc,fsync status=none; done", largeName(mib), mib<<19)}
			},
			Tools: []bench.Tool{bench.DD},
		},
		Look: []bench.View{{Title: "KiB in the stores", Read: readStores}},
		Expect: []evidence.Expectation{
			grows("overlay2 copied the whole file for one byte", "overlay2", 1, 1.2),
			grows("aufs did the same", "aufs", 1, 1.2),
			grows("vfs took nothing: it had its copy already", "vfs", 0, 0),
			grows("btrfs took a few blocks, less than a tenth of the file", "btrfs", 0.0001, 0.1),
			grows("devicemapper took a few blocks of 64 KiB", "devicemapper", 0.0001, 0.1),
		},
	}
}

// eachBox does something with every container that there is.
func eachBox(_ *bench.Bench, do func(name, box string) error) error {
	var errs []error
	for _, name := range compared() {
		if _, err := os.Stat(boxOf(name)); err == nil {
			errs = append(errs, do(name, boxOf(name)))
		}
	}
	return errors.Join(errs...)
}

func storeFact(name string) string { return "store of " + name }

func readStores(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts := []evidence.Fact{evidence.F("size of the file", "stat box-overlay2/"+largeName(largestMiB(b)), fmt.Sprint(largestMiB(b)<<10))}
	err := eachBox(b, func(name, box string) error {
		bytes, err := storeBytes(b, name, box)
		facts = append(facts, evidence.F(storeFact(name), sourceOfBytes(name), fmt.Sprint(bytes>>10)))
		return err
	})
	return facts, err
}

func sourceOfBytes(name string) string {
	switch name {
	case "btrfs":
		return "df on-btrfs"
	case "devicemapper":
		return "dmsetup status, blocks times 64"
	}
	return "du of the store's folders"
}

// noDevicemapper is why a claim about it could not be tested.
const noDevicemapper = "this machine has no thin pools; cutaway lab 21 --on vm has them"

// grows claims by how much of the file's size a store has grown.
func grows(claim, name string, low, high float64) evidence.Expectation {
	fact := storeFact(name)
	return evidence.Custom(claim, []string{fact, "size of the file"}, func(o evidence.Observed) evidence.Verdict {
		after, ok := evidence.Number(o.After.Value(fact))
		if !ok && name == "devicemapper" && o.After.Value(fact) == evidence.Absent && o.After.Value(storeFact("overlay2")) != evidence.Absent {
			return evidence.Verdict{Outcome: evidence.Untested, Want: "a thin pool", Got: evidence.Absent, Reason: noDevicemapper}
		}
		before, _ := evidence.Number(o.Before.Value(fact))
		size, _ := evidence.Number(o.After.Value("size of the file"))
		grown := after - before
		// With the act left out nothing grows, and "nothing" must not hold then: the
		// others show that there was an act.
		acted := o.After.Value(storeFact("overlay2")) != o.Before.Value(storeFact("overlay2"))
		return evidence.Judged(ok && acted && grown >= low*size && grown <= high*size,
			fmt.Sprintf("%g to %g KiB more", low*size, high*size), fmt.Sprintf("%g KiB more", grown))
	})
}

func measuredStep() bench.Step {
	return bench.Step{
		Name: "measured", Reproduces: []string{"drv-compare"},
		Intend: func(b *bench.Bench) ([]journal.Undo, error) {
			undos := undoLayer(b, "run")
			for _, dir := range []string{"overlay2/run/merged", "aufs/mnt/run"} {
				undos = append(undos, journal.Undo{Kind: journal.Umount, Path: b.Path(runName(b), dir)})
			}
			return undos, nil
		},
		ByHand: bench.ByHand{None: "starting a program takes longer than most of what is measured here"},
		Look:   []bench.View{{Title: "a fresh container on each driver, and what it costs", Columns: compared(), Read: measureDrivers}},
		Plot:   plotDrivers,
		Expect: []evidence.Expectation{
			ratio("overlay2: the first write takes more room, the larger the file is", "overlay2", " KiB", 3, 1e9),
			ratio("aufs: as well", "aufs", " KiB", 3, 1e9),
			ratio("btrfs: it takes about the same, whatever the size", "btrfs", " KiB", 0, 3),
			ratio("devicemapper: the same", "devicemapper", " KiB", 0, 3),
			ratio("overlay2: it takes longer, too", "overlay2", " ms", 1.5, 1e9),
			evidence.Custom("vfs pays at the start instead: a copy of the whole image", []string{"container start, KiB"}, func(o evidence.Observed) evidence.Verdict {
				copies, _ := evidence.Number(o.After.Column("container start, KiB", slices.Index(compared(), "vfs")))
				overlay, ok := evidence.Number(o.After.Column("container start, KiB", 0))
				return evidence.Judged(ok && copies >= 4096 && copies > 20*overlay, "over 20 times what overlay2 takes", fmt.Sprintf("%g and %g KiB", copies, overlay))
			}),
		},
	}
}

// ratio compares the first write into the largest file with that into the smallest.
func ratio(claim, name, unit string, low, high float64) evidence.Expectation {
	small, column := writeFact(1, unit), slices.Index(compared(), name)
	return evidence.Custom(claim, []string{small, "largest file, MiB"}, func(o evidence.Observed) evidence.Verdict {
		a, ok := evidence.Number(o.After.Column(small, column))
		if !ok && o.After.Column(small, 0) != evidence.Absent {
			return evidence.Verdict{Outcome: evidence.Untested, Want: "a store of " + name, Got: o.After.Column(small, column), Reason: noDevicemapper}
		}
		var mib int
		fmt.Sscan(o.After.Value("largest file, MiB"), &mib)
		z, okZ := evidence.Number(o.After.Column(writeFact(mib, unit), column))
		return evidence.Judged(ok && okZ && a > 0 && z/a >= low && z/a <= high, fmt.Sprintf("%g times or more, at most %g", low, high), fmt.Sprintf("%.1f times", z/a))
	})
}

func writeFact(mib int, unit string) string {
	return fmt.Sprintf("first write into %d MiB,%s", mib, unit)
}

// notHere stands in the column of a driver that this machine cannot have.
const notHere = "not here"

// measureDrivers starts a fresh container on each driver, writes to it, and takes it
// away again.
func measureDrivers(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	names, values := measureRows(b), map[string][]string{}
	for _, name := range compared() {
		row := map[string]string{}
		if _, err := os.Stat(boxOf(name)); err == nil {
			if err := withCompared(b, name, func(d unionfs.Driver) error { return measureDriver(b, d, row) }); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		for _, fact := range names {
			value, measured := row[fact]
			if !measured {
				value = notHere
			}
			values[fact] = append(values[fact], value)
		}
	}
	if len(values[names[0]]) == 0 || values[names[0]][0] == notHere {
		return nil, fmt.Errorf("there are no stores to measure: %w", bench.ErrNoSubject)
	}
	var facts []evidence.Fact
	for _, fact := range names {
		facts = append(facts, evidence.F(fact, "clock_gettime(2); du, df, dmsetup status", values[fact]...))
	}
	largest := fmt.Sprint(largestMiB(b))
	facts = append(facts, evidence.F("largest file, MiB", "ls -l box-overlay2", largest, largest, largest, largest, largest))
	b.Set("measured", facts)
	return facts, nil
}

// measureRows names what is measured, in order.
func measureRows(b *bench.Bench) []string {
	rows := []string{"container start, ms", "container start, KiB"}
	for _, mib := range largeMiB(b) {
		rows = append(rows, writeFact(mib, " ms"), writeFact(mib, " KiB"))
	}
	return append(rows, "50 small files, ms", "50 small files, KiB")
}

// measureDriver fills one column.
func measureDriver(b *bench.Bench, d unionfs.Driver, row map[string]string) (err error) {
	var run *unionfs.Mount
	watch := func(fact, synced string, act func() error) error {
		before, err := storeBytes(b, d.Name(), synced)
		if err != nil {
			return err
		}
		start := time.Now()
		if err := act(); err != nil {
			return err
		}
		row[fact+", ms"] = fmt.Sprintf("%.2f", float64(time.Since(start).Microseconds())/1000)
		after, err := storeBytes(b, d.Name(), run.Path)
		row[fact+", KiB"] = fmt.Sprint((after - before) >> 10)
		return err
	}
	err = watch("container start", boxOf(d.Name()), func() error {
		if err := d.Create("run", "image", unionfs.CreateOptions{}); err != nil {
			return err
		}
		run, err = d.Mount("run", unionfs.MountOptions{})
		return err
	})
	if err != nil {
		return err
	}
	// The very first write makes folders and loads code, which is not to be measured.
	err = writeByte(run.Path+"/small/0", 100)
	for _, mib := range largeMiB(b) {
		err = errors.Join(err, watch(fmt.Sprintf("first write into %d MiB", mib), run.Path, func() error {
			return writeAt(run.Path+"/"+largeName(mib), int64(mib)<<19, []byte("X"))
		}))
	}
	err = errors.Join(err, watch("50 small files", run.Path, func() error {
		for i := range smallFiles {
			if err := writeByte(fmt.Sprintf("%s/small/%d", run.Path, i), 100); err != nil {
				return err
			}
		}
		return syncFS(run.Path)
	}))
	return errors.Join(err, run.Release(), d.Remove("run"))
}

// plotDrivers draws what the table says of the first write.
func plotDrivers(_ context.Context, b *bench.Bench) (evidence.Plot, error) {
	plot := evidence.Plot{Title: "what the first write of one byte takes in the store", X: "MiB in the file", Y: "MiB"}
	facts := evidence.Facts{}
	facts.Add(bench.Get[[]evidence.Fact](b, "measured")...)
	for column, name := range compared() {
		line := evidence.Line{Name: name}
		for _, mib := range largeMiB(b) {
			if kib, ok := evidence.Number(facts.Column(writeFact(mib, " KiB"), column)); ok {
				line.Points = append(line.Points, [2]float64{float64(mib), kib / 1024})
			}
		}
		if len(line.Points) > 0 {
			plot.Lines = append(plot.Lines, line)
		}
	}
	return plot, nil
}
