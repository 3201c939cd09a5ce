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
	"cutaway/labs/bench"
)

func swapStep() bench.Step {
	return bench.Step{
		Name: "swap",
		// A kill between suspend and resume would leave a device on which every
		// reader and writer waits for ever.
		Intend: func(b *bench.Bench) ([]journal.Undo, error) {
			return []journal.Undo{{Kind: journal.ResumeDM, Name: dmName(b, "joined")}}, nil
		},
		Do: swapPieces,
		ByHand: bench.ByHand{
			Lines: named(
				twoPiecesLine(secondOffset, firstOffset)+" | dmsetup load $N-joined",
				"dmsetup suspend $N-joined",
				"dmsetup info $N-joined",
				"dmsetup resume $N-joined"),
			Tools: []bench.Tool{bench.Cat, bench.Dmsetup},
		},
		Look: []bench.View{
			{Title: "the table at work", Read: func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) { return tableFacts(b, "joined") }},
			{Title: "where the text is", Read: readPieces},
			{Title: "the mapped device", Read: readMappedState},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the first line now leads to sector 4096 of the disk", "line 1", evidence.Matches(`^0 2048 linear \d+:\d+ 4096$`)),
			evidence.Becomes("so sector 10 of the mapped device reads what was written to the second piece", "mapped device, sector 10", evidence.Equals(secondText)),
			evidence.Becomes("and sector 2058 what was written to the first", "mapped device, sector 2058", evidence.Equals(firstText)),
			evidence.Keeps("nothing was moved on the disk: sector 8202", "disk, sector 8202"),
			evidence.Keeps("it is still the same device, by its number", "number of the mapped device"),
			evidence.AlwaysIs("it is at work, not suspended", "state", evidence.Equals("active")),
		},
	}
}

// swapPieces loads another table beside the one at work, waits until IO under way
// has ended (suspend), and puts the new one to work (resume).
func swapPieces(_ context.Context, b *bench.Bench) error {
	disk, err := loopOf(b, labDisk(b))
	if err != nil {
		return err
	}
	return withDM(func(c *dmthin.Control) error {
		if err := c.Load(dmName(b, "joined"), twoPieces(disk, secondOffset, firstOffset), false); err != nil {
			return err
		}
		if err := c.Suspend(dmName(b, "joined")); err != nil {
			return err
		}
		_, err := c.Resume(dmName(b, "joined"))
		return err
	})
}

func readMappedState(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	err := withDM(func(c *dmthin.Control) error {
		info, err := c.Info(dmName(b, "joined"))
		if err != nil {
			return err
		}
		state := "active"
		if info.Suspended {
			state = "suspended"
		}
		from := "dmsetup info " + dmName(b, "joined")
		facts = []evidence.Fact{evidence.F("state", from, state), evidence.F("number of the mapped device", from, info.Dev.String())}
		return nil
	})
	return facts, err
}

// holeSectors is the length of each of three parts, the middle one of which is bad:
// a page of memory, so that reading one part does not read into the next.
const holeSectors = 8

func errorStep() bench.Step {
	return bench.Step{
		Name: "error", Reproduces: []string{"dm-targets"},
		Intend: intendDM("hole"),
		Do:     makeHole,
		ByHand: bench.ByHand{
			Lines: named(
				`printf '0 8 linear %s 0\n8 8 error\n16 8 linear %s 16\n' $(cat disk.loop) $(cat disk.loop) | dmsetup create --verifyudev $N-hole`,
				"dd if=/dev/mapper/$N-hole of=/dev/null bs=512 skip=0 count=1 iflag=direct",
				"! dd if=/dev/mapper/$N-hole of=/dev/null bs=512 skip=8 count=1 iflag=direct"),
			Tools: []bench.Tool{bench.Cat, bench.Dmsetup, bench.DD},
		},
		Look: []bench.View{{Title: "reading the device with a hole", Read: readHole}},
		Expect: []evidence.Expectation{
			evidence.Becomes("before the hole reading works", "reading sector 0", evidence.Equals("works")),
			evidence.Becomes("in the hole the kernel answers EIO, as for a broken disk", "reading sector 8", evidence.Equals("EIO")),
			evidence.Becomes("behind it reading works again", "reading sector 16", evidence.Equals("works")),
		},
	}
}

// makeHole maps the disk but for one part, which is an error.
func makeHole(_ context.Context, b *bench.Bench) error {
	disk, err := loopOf(b, labDisk(b))
	if err != nil {
		return err
	}
	table := dmthin.Table{
		dmthin.LineOf(0, holeSectors, dmthin.Linear{Device: disk}),
		dmthin.LineOf(holeSectors, holeSectors, dmthin.Fail{}),
		dmthin.LineOf(2*holeSectors, holeSectors, dmthin.Linear{Device: disk, Offset: 2 * holeSectors}),
	}
	return withDM(func(c *dmthin.Control) error {
		_, err := c.Start(dmName(b, "hole"), "", table, false)
		return err
	})
}

func readHole(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	device := dmNode(b, "hole")
	var facts []evidence.Fact
	for _, sector := range []int64{0, holeSectors, 2 * holeSectors} {
		_, err := readSector(device, sector)
		if errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		facts = append(facts, evidence.F(fmt.Sprintf("reading sector %d", sector),
			fmt.Sprintf("dd if=%s of=/dev/null bs=512 skip=%d count=1 iflag=direct", device, sector), answer(err)))
	}
	return facts, nil
}

const (
	liarOffset       = 12288 // where on the disk the device that lies stands
	oldText, newText = "old content", "new content"
)

func flakeyStep() bench.Step {
	return bench.Step{
		Name: "flakey", Reproduces: []string{"dm-targets"}, Needs: needs("dm.flakey"),
		Intend: intendDM("liar"),
		Do:     writeToLiar,
		ByHand: bench.ByHand{
			Lines: named(
				writeSectorLine("$(cat disk.loop)", liarOffset, oldText),
				fmt.Sprintf(`echo "0 8 flakey $(cat disk.loop) %d 0 1 1 drop_writes" | dmsetup create --verifyudev $N-liar`, liarOffset),
				writeSectorLine("/dev/mapper/$N-liar", 0, newText)),
			Tools: []bench.Tool{bench.DD, bench.Dmsetup},
		},
		Look: []bench.View{
			{Title: "the table at work", Read: func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) { return tableFacts(b, "liar") }},
			{Title: "what became of the write", Read: readLiar},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the device counts the write as done", "writes that the device has completed", evidence.AtLeast(1)),
			evidence.Becomes("yet the disk has the old content", "disk, sector 12288", evidence.Equals(oldText)),
			evidence.Becomes("and so does the device, whoever reads it", "device that lies, sector 0", evidence.Equals(oldText)),
		},
	}
}

// writeToLiar maps a sector through flakey, which is down for one second in one and
// drops writes then: it says yes and does nothing.
func writeToLiar(_ context.Context, b *bench.Bench) error {
	disk, err := loopOf(b, labDisk(b))
	if err != nil {
		return err
	}
	if err := writeSector(disk, liarOffset, oldText); err != nil {
		return err
	}
	err = withDM(func(c *dmthin.Control) error {
		lie := dmthin.Flakey{Linear: dmthin.Linear{Device: disk, Offset: liarOffset}, Up: 0, Down: 1, Features: []string{"drop_writes"}}
		_, err := c.Start(dmName(b, "liar"), "", dmthin.One(holeSectors, lie), false)
		return err
	})
	if err != nil {
		return err
	}
	return writeSector(dmNode(b, "liar"), 0, newText)
}

// readLiar reads the fifth number of the device's stat (block/stat.rst): writes that
// ended, as far as the kernel knows.
func readLiar(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	disk, err := loopOf(b, labDisk(b))
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{
		sectorFact("disk, sector 12288", disk, liarOffset),
		sectorFact("device that lies, sector 0", dmNode(b, "liar"), 0),
	}
	sys, err := sysBlock(dmNode(b, "liar"))
	if err != nil {
		return facts, err
	}
	stat, err := os.ReadFile(sys + "/stat")
	if field := strings.Fields(string(stat)); len(field) > 4 {
		facts = append(facts, evidence.F("writes that the device has completed", sys+"/stat, fifth number", field[4]))
	}
	return facts, err
}
