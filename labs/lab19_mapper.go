package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"cutaway/dmthin"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/internal/probe"
	"cutaway/labs/bench"
)

// mapperLab is lab 19: block devices that are made of tables.
func mapperLab() bench.Lab {
	return bench.Lab{ID: "19", Name: "mapper", Needs: needs("dm", "loop"), Steps: []bench.Step{
		targetsStep(),
		tableStep(),
		throughStep(),
		swapStep(),
		errorStep(),
		flakeyStep(),
	}}
}

func targetsStep() bench.Step {
	return bench.Step{
		Name: "targets", Reproduces: []string{"dm-targets"}, Needs: []probe.ID{"dm.flakey"},
		ByHand: bench.ByHand{
			Lines: bench.Lines("dmsetup version", "dmsetup targets"),
			Tools: []bench.Tool{bench.Dmsetup},
		},
		Look: []bench.View{{Title: "target drivers, asked for by name", Columns: []string{"version"}, Read: readTargets}},
		Expect: []evidence.Expectation{
			evidence.Is("linear is there: it is part of the driver itself", "linear", evidence.Matches(`^\d+\.\d+\.\d+$`)),
			evidence.Is("error is there, too", "error", evidence.Matches(`^\d+\.\d+\.\d+$`)),
			evidence.Is("flakey is there, from a module of its own if need be", "flakey", evidence.Matches(`^\d+\.\d+\.\d+$`)),
		},
	}
}

// readTargets asks for each target by name (ioctl DM_GET_TARGET_VERSION), upon which
// the kernel loads the module that brings it.
func readTargets(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	err := withDM(func(c *dmthin.Control) error {
		driver, err := c.Version()
		facts = append(facts, evidence.F("the driver itself", "dmsetup version", driver.String()))
		for _, name := range []string{"linear", "error", "zero", "flakey", "snapshot-origin", "thin-pool", "thin"} {
			v, err := c.Target(name)
			value := v.String()
			if err != nil {
				value = evidence.Absent
			}
			facts = append(facts, evidence.F(name, "dmsetup targets", value))
		}
		return err
	})
	return facts, err
}

// The disk of this lab, and which pieces of it the mapped device is made of. All in
// sectors of 512 bytes. The pieces come in the other order than on the disk.
const (
	diskSectors  = 16384
	pieceSectors = 2048
	firstOffset  = 8192
	secondOffset = 4096
)

func labDisk(b *bench.Bench) string { return runName(b) + "-disk.img" }

// twoPieces is the table of the mapped device.
func twoPieces(disk string, first, second uint64) dmthin.Table {
	return dmthin.Table{
		dmthin.LineOf(0, pieceSectors, dmthin.Linear{Device: disk, Offset: first}),
		dmthin.LineOf(pieceSectors, pieceSectors, dmthin.Linear{Device: disk, Offset: second}),
	}
}

// twoPiecesLine prints it for dmsetup, one line of the table a line.
func twoPiecesLine(first, second int) string {
	return fmt.Sprintf(`printf '0 %d linear %%s %d\n%d %d linear %%s %d\n' $(cat disk.loop) $(cat disk.loop)`,
		pieceSectors, first, pieceSectors, pieceSectors, second)
}

func tableStep() bench.Step {
	return bench.Step{
		Name: "table", Reproduces: []string{"dm-table"},
		Intend: func(b *bench.Bench) ([]journal.Undo, error) {
			return append([]journal.Undo{undoLoop(b, labDisk(b))}, undoDM(b, "joined")...), nil
		},
		Do: makeJoined,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return named(append(attachLines("disk", "$N-disk.img", diskSectors*dmthin.SectorSize),
					twoPiecesLine(firstOffset, secondOffset)+" > joined.table",
					"cat joined.table",
					"dmsetup create --verifyudev $N-joined joined.table",
				)...)(b)
			},
			Tools: []bench.Tool{bench.Truncate, bench.Losetup, bench.Cat, bench.Dmsetup},
		},
		Look: []bench.View{
			{Title: "the table at work", Read: func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) { return tableFacts(b, "joined") }},
			{Title: "the mapped device", Read: readMapped},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the first 2048 sectors are those of the disk from 8192 on", "line 1", evidence.Matches(`^0 2048 linear \d+:\d+ 8192$`)),
			evidence.Becomes("the next 2048 are those from 4096 on, before them on the disk", "line 2", evidence.Matches(`^2048 2048 linear \d+:\d+ 4096$`)),
			evidence.Becomes("the device is as long as its lines together", "size, sectors", evidence.Equals("4096")),
			evidence.Same("it stands on the loop device alone", "stands on", "number of the loop device"),
		},
	}
}

// makeJoined attaches the disk and maps two pieces of it: DM_DEV_CREATE,
// DM_TABLE_LOAD, DM_DEV_SUSPEND (to resume).
func makeJoined(_ context.Context, b *bench.Bench) error {
	if err := attachSparse(b, "disk", labDisk(b), diskSectors*dmthin.SectorSize); err != nil {
		return err
	}
	disk, err := loopOf(b, labDisk(b))
	if err != nil {
		return err
	}
	return withDM(func(c *dmthin.Control) error {
		_, err := c.Start(dmName(b, "joined"), "", twoPieces(disk, firstOffset, secondOffset), false)
		return err
	})
}

// readMapped asks the device mapper and the block layer about the device.
func readMapped(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	sys, err := sysBlock(dmNode(b, "joined"))
	if err != nil {
		return nil, err
	}
	size, err := os.ReadFile(sys + "/size")
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("size, sectors", sys+"/size", strings.TrimSpace(string(size)))}
	err = withDM(func(c *dmthin.Control) error {
		deps, err := c.Deps(dmName(b, "joined"))
		facts = append(facts, evidence.F("stands on", "dmsetup deps "+dmName(b, "joined"), strings.Trim(fmt.Sprint(deps), "[]")))
		return err
	})
	disk, loopErr := loopOf(b, labDisk(b))
	if loopErr != nil {
		return facts, errors.Join(err, loopErr)
	}
	dev, devErr := os.ReadFile("/sys/block/" + disk[len("/dev/"):] + "/dev")
	return append(facts, evidence.F("number of the loop device", "/sys/block/"+disk[len("/dev/"):]+"/dev", strings.TrimSpace(string(dev)))), errors.Join(err, devErr)
}

const (
	firstText, secondText = "written to the first piece", "written to the second piece"
	inFirst, inSecond     = 10, pieceSectors + 10 // sectors of the mapped device
)

func throughStep() bench.Step {
	return bench.Step{
		Name: "write", Reproduces: []string{"dm-table"},
		Do: func(_ context.Context, b *bench.Bench) error {
			return errors.Join(
				writeSector(dmNode(b, "joined"), inFirst, firstText),
				writeSector(dmNode(b, "joined"), inSecond, secondText))
		},
		ByHand: bench.ByHand{
			Lines: named(
				writeSectorLine("/dev/mapper/$N-joined", inFirst, firstText),
				writeSectorLine("/dev/mapper/$N-joined", inSecond, secondText)),
			Tools: []bench.Tool{bench.DD},
		},
		Look: []bench.View{{Title: "where the text is", Read: readPieces}},
		Expect: []evidence.Expectation{
			evidence.Becomes("sector 10 of the mapped device is sector 8192 + 10 of the disk", "disk, sector 8202", evidence.Equals(firstText)),
			evidence.Becomes("sector 2048 + 10 of the mapped device is sector 4096 + 10 of the disk", "disk, sector 4106", evidence.Equals(secondText)),
			evidence.AlwaysIs("the disk's own sector 10 has nothing to do with it", "disk, sector 10", evidence.Equals(zeros)),
		},
	}
}

// readPieces reads the mapped device and the disk below it.
func readPieces(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	disk, err := loopOf(b, labDisk(b))
	if err != nil {
		return nil, err
	}
	return []evidence.Fact{
		sectorFact("mapped device, sector 10", dmNode(b, "joined"), inFirst),
		sectorFact("mapped device, sector 2058", dmNode(b, "joined"), inSecond),
		sectorFact("disk, sector 10", disk, inFirst),
		sectorFact("disk, sector 4106", disk, secondOffset+10),
		sectorFact("disk, sector 8202", disk, firstOffset+10),
	}, nil
}
