package labs

import (
	"context"
	"errors"
	"fmt"

	"cutaway/dmthin"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
)

// thinLab is lab 20: thin pools, and the layers that Docker kept in them.
func thinLab() bench.Lab {
	return bench.Lab{ID: "20", Name: "thin", Needs: needs("dm.thin-pool", "dm.thin", "loop", "fs.ext4"), Steps: []bench.Step{
		poolStep(),
		thinStep(),
		allocateStep(),
		baseStep(),
		layersStep(),
		thinContainerStep(),
		breakStep(),
		directStep(),
		autoextendStep(),
	}}
}

const (
	thinPoolBytes = 512 << 20 // Docker took 100 GiB
	poolMetadata  = 4 << 20   // and 2 GiB
	poolBlockSize = 64 << 10
	tenGiB        = 10 << 30
	tenID         = 10 // of the device of 10 GiB; layers are numbered from 1
)

// thinHome is the driver's folder, laid out as /var/lib/docker/devicemapper. The
// folder above it carries the run, so that its loop files are known again.
func thinHome(b *bench.Bench) string { return runName(b) + "/devicemapper" }

func poolStep() bench.Step {
	return bench.Step{
		Name: "pool", Reproduces: []string{"dm-thin-pool"},
		Intend: func(b *bench.Bench) ([]journal.Undo, error) {
			return append([]journal.Undo{undoLoop(b, thinHome(b)+"/devicemapper/metadata"), undoLoop(b, thinHome(b)+"/devicemapper/data")}, undoPool(b, "pool")...), nil
		},
		Do: startLabPool,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				dir := "$N/devicemapper/devicemapper"
				lines := []string{"mkdir -p " + dir}
				lines = append(lines, attachLines("metadata", dir+"/metadata", poolMetadata)...)
				lines = append(lines, attachLines("data", dir+"/data", thinPoolBytes)...)
				lines = append(lines,
					fmt.Sprintf(`echo "0 %d thin-pool $(cat metadata.loop) $(cat data.loop) 128 0" | dmsetup create --verifyudev --uuid %s $N-pool`, thinPoolBytes/512, poolUUID("$N-pool")),
					"dmsetup status $N-pool")
				return named(lines...)(b)
			},
			Tools: []bench.Tool{bench.Mkdir, bench.Truncate, bench.Losetup, bench.Dmsetup},
		},
		Look: []bench.View{
			{Title: "the pool", Read: readLabPool},
			{Title: "the two files under it", Read: readPoolFiles},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the table names metadata, data, and blocks of 128 sectors (64 KiB)", "line 1", evidence.Matches(`^0 1048576 thin-pool \d+:\d+ \d+:\d+ 128 0`)),
			evidence.Becomes("the pool can be written to", "mode of the pool", evidence.Equals("rw")),
			evidence.Becomes("none of its 8192 blocks is in use", "data blocks, used/all", evidence.Equals("0/8192")),
			evidence.Becomes("the file for the data is half a gigabyte long", "data, length", evidence.Equals(fmt.Sprint(thinPoolBytes))),
			evidence.Becomes("and takes almost nothing of its disk", "data, bytes on disk", evidence.Between(0, 256<<10)),
		},
	}
}

// startLabPool makes the two sparse files, attaches them, and starts the pool. It
// stays at work without us: all later steps ask the kernel for it.
func startLabPool(_ context.Context, b *bench.Bench) error {
	store, err := dmthin.OpenLoopStore("/dev", dmthin.LoopSpec{Dir: b.Path(thinHome(b), "devicemapper"), Data: thinPoolBytes, Metadata: poolMetadata})
	if err != nil {
		return err
	}
	err = withDM(func(c *dmthin.Control) error {
		_, err := dmthin.StartPool(c, store, dmthin.PoolSpec{Name: dmName(b, "pool")})
		return err
	})
	return errors.Join(err, store.Release())
}

func readLabPool(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	facts, err := poolFacts(b, "pool")
	if err != nil {
		return facts, err
	}
	table, err := tableFacts(b, "pool")
	return append(table, facts...), err
}

func readPoolFiles(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	data, err := fileFacts("data", thinHome(b)+"/devicemapper/data")
	if err != nil {
		return nil, err
	}
	metadata, err := fileFacts("metadata", thinHome(b)+"/devicemapper/metadata")
	return append(data, metadata...), err
}

func thinStep() bench.Step {
	return bench.Step{
		Name: "thin", Reproduces: []string{"dm-thin-pool"},
		Intend: intendDM("ten"),
		Do: func(_ context.Context, b *bench.Bench) error {
			return withPool(b, "pool", func(_ *dmthin.Control, p *dmthin.Pool) error {
				if err := p.CreateThin(tenID); err != nil {
					return err
				}
				_, err := p.Activate(dmName(b, "ten"), tenID, tenGiB)
				return err
			})
		},
		ByHand: bench.ByHand{
			Lines: named(
				`dmsetup message $N-pool 0 "create_thin 10"`,
				thinLine("pool", "ten", tenID, tenGiB/512)),
			Tools: []bench.Tool{bench.Dmsetup},
		},
		Look: []bench.View{
			{Title: "the thin device", Read: readTen},
			{Title: "the pool", Read: func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) { return poolFacts(b, "pool") }},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the device is 10 GiB large, twenty times its pool", "size, bytes", evidence.Equals(fmt.Sprint(tenGiB))),
			evidence.Becomes("none of its sectors has a place in the pool", "sectors that have a place", evidence.Equals("0")),
			evidence.AlwaysIs("the pool has given out nothing for it", "data blocks, used/all", evidence.Equals("0/8192")),
		},
	}
}

// readTen asks for the device's size and what it maps.
func readTen(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	err := withPool(b, "pool", func(_ *dmthin.Control, p *dmthin.Pool) error {
		size, err := dmthin.DeviceSize(dmNode(b, "ten"))
		if err != nil {
			return err
		}
		status, err := p.ThinStatus(dmName(b, "ten"))
		facts = []evidence.Fact{
			evidence.F("size, bytes", "blockdev --getsize64 "+dmNode(b, "ten"), fmt.Sprint(size)),
			evidence.F("sectors that have a place", "dmsetup status "+dmName(b, "ten"), fmt.Sprint(status.Mapped)),
		}
		return err
	})
	return facts, err
}

// Where the three sectors are written: two in the first block, one in the middle.
const (
	sameBlock = 100
	farAway   = tenGiB / 2 / 512
)

func allocateStep() bench.Step {
	return bench.Step{
		Name: "write", Reproduces: []string{"dm-thin-grow"},
		Do: func(_ context.Context, b *bench.Bench) error {
			ten := dmNode(b, "ten")
			return errors.Join(writeSector(ten, 0, "first"), writeSector(ten, sameBlock, "same block"), writeSector(ten, farAway, "far away"))
		},
		ByHand: bench.ByHand{
			Lines: named(
				writeSectorLine("/dev/mapper/$N-ten", 0, "first"),
				writeSectorLine("/dev/mapper/$N-ten", sameBlock, "same block"),
				writeSectorLine("/dev/mapper/$N-ten", farAway, "far away")),
			Tools: []bench.Tool{bench.DD},
		},
		Look: []bench.View{
			{Title: "the thin device", Read: readTen},
			{Title: "the pool", Read: func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) { return poolFacts(b, "pool") }},
			{Title: "what is read", Read: readTenSectors},
		},
		Plot: plotAllocation,
		Expect: []evidence.Expectation{
			evidence.Becomes("three sectors in two blocks take two blocks of 64 KiB", "data blocks, used/all", evidence.Equals("2/8192")),
			evidence.Becomes("256 sectors have a place now", "sectors that have a place", evidence.Equals("256")),
			evidence.Becomes("the far one can be read back", "sector in the middle", evidence.Equals("far away")),
			evidence.AlwaysIs("what was never written reads as zeros", "sector 2000", evidence.Equals(zeros)),
		},
	}
}

func readTenSectors(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	ten := dmNode(b, "ten")
	return []evidence.Fact{
		sectorFact("sector 0", ten, 0), sectorFact("sector 100", ten, sameBlock),
		sectorFact("sector 2000", ten, 2000), sectorFact("sector in the middle", ten, farAway),
	}, nil
}

// plotAllocation writes on, 16 KiB at a time, and asks the pool each time.
func plotAllocation(_ context.Context, b *bench.Bench) (evidence.Plot, error) {
	const piece, start = 16 << 10, 1 << 30
	plot := evidence.Plot{Title: "blocks of the pool that are in use, while 16 KiB are written at a time", X: "KiB written", Y: "blocks"}
	line := evidence.Line{Name: "data blocks in use"}
	err := withPool(b, "pool", func(_ *dmthin.Control, p *dmthin.Pool) error {
		for i := range int64(25) {
			if i > 0 {
				if err := writeAt(dmNode(b, "ten"), start+(i-1)*piece, make([]byte, piece)); err != nil {
					return err
				}
			}
			s, err := p.Status()
			if err != nil {
				return err
			}
			line.Points = append(line.Points, [2]float64{float64(i * piece >> 10), float64(s.Data.Used)})
		}
		return nil
	})
	plot.Lines = []evidence.Line{line}
	return plot, err
}
