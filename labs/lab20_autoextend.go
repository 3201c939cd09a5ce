package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"cutaway/dmthin"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
)

// extendPolicy is LVM's: at 80 % grow by 4 %. Docker's guide has 20 %, for a volume
// group with room; here 4 % of the disk are all that the split left.
func extendPolicy() *dmthin.Autoextend { return &dmthin.Autoextend{Threshold: 80, Percent: 4} }

// The sizes of the direct pool before and after it has grown, in blocks, and how many
// bytes are written to get there: a little more than 80 % of the pool.
func extendSizes() (before, after, write uint64) {
	_, data := directSplit()
	before = data.Length / dmthin.DefaultBlockSectors
	after = before + before*extendPolicy().Percent/100
	return before, after, (before*82/100 + 15) / 16 * 16 * poolBlockSize
}

func autoextendStep() bench.Step {
	before, after, _ := extendSizes()
	return bench.Step{
		Name: "autoextend", Reproduces: []string{"dm-direct"},
		Intend: func(b *bench.Bench) ([]journal.Undo, error) {
			return []journal.Undo{{Kind: journal.ResumeDM, Name: dmName(b, "direct_tdata")}, {Kind: journal.ResumeDM, Name: dmName(b, "direct")}}, nil
		},
		Do:     fillAndExtend,
		ByHand: bench.ByHand{Lines: extendLines, Tools: []bench.Tool{bench.Dmsetup, bench.DD, bench.Cat, bench.Sed}},
		Look:   []bench.View{{Title: "the direct pool", Read: readExtension}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the kernel raised an event when few blocks were left", "events of the pool", evidence.AtLeast(1)),
			evidence.Becomes("more than 80 % of the first size are in use", "data blocks in use", evidence.AtLeast(float64(before)*0.8)),
			evidence.Becomes("the pool has grown by 4 %", "data blocks, all", evidence.Equals(fmt.Sprint(after))),
			evidence.Becomes("and so has the device under it", "sectors of the data device", evidence.AtLeast(float64(after*dmthin.DefaultBlockSectors))),
			evidence.AlwaysIs("all the time, the pool could be written to", "mode of the pool", evidence.Equals("rw")),
		},
	}
}

// fillAndExtend writes until the pool raises its event, and does then what LVM's
// daemon dmeventd does: it makes the device under the pool longer, and then the pool.
func fillAndExtend(ctx context.Context, b *bench.Bench) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return withPool(b, "direct", func(c *dmthin.Control, p *dmthin.Pool) error {
		info, err := c.Info(p.Name())
		if err != nil {
			return err
		}
		if err := fillPool(dmNode(b, "direct-1")); err != nil {
			return err
		}
		if _, err := c.Wait(ctx, p.Name(), info.Event); err != nil {
			return err
		}
		status, err := p.Status()
		if err != nil {
			return err
		}
		if blocks, grow := extendPolicy().Wants(status.Data); grow {
			return extendTo(c, b, blocks)
		}
		return fmt.Errorf("the pool has %s blocks in use, which is no reason to grow", status.Data)
	})
}

// fillPool writes a little more than 80 % of the pool.
func fillPool(device string) error {
	_, _, write := extendSizes()
	f, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	piece := make([]byte, 1<<20)
	for at := uint64(0); at < write && err == nil; at += uint64(len(piece)) {
		_, err = f.WriteAt(piece, int64(at))
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// extendTo loads longer tables, first for the device and then for the pool on it.
func extendTo(c *dmthin.Control, b *bench.Bench, blocks uint64) error {
	for _, name := range []string{"direct_tdata", "direct"} {
		table, err := c.Table(dmName(b, name))
		if err != nil {
			return err
		}
		table[0].Length = blocks * dmthin.DefaultBlockSectors
		if err := c.Load(dmName(b, name), table, false); err != nil {
			return err
		}
		if _, err := c.Resume(dmName(b, name)); err != nil {
			return err
		}
	}
	return nil
}

// extendLines do the same by hand.
func extendLines(b *bench.Bench) []string {
	_, blocks, write := extendSizes()
	longer := func(name string) string {
		return fmt.Sprintf(`dmsetup table $N-%s | sed 's/^0 [0-9]* /0 %d /' | dmsetup load $N-%s`, name, blocks*dmthin.DefaultBlockSectors, name)
	}
	return named(
		"dmsetup info --columns --noheadings -o events $N-direct > events.seen",
		fmt.Sprintf("dd if=/dev/zero of=/dev/mapper/$N-direct-1 bs=1M count=%d conv=fsync,notrunc status=none", (write+1<<20-1)>>20),
		"dmsetup wait $N-direct $(cat events.seen)",
		"dmsetup status $N-direct",
		longer("direct_tdata"), "dmsetup resume $N-direct_tdata",
		longer("direct"), "dmsetup resume $N-direct",
	)(b)
}

func readExtension(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	err := withPool(b, "direct", func(c *dmthin.Control, p *dmthin.Pool) error {
		info, err := c.Info(p.Name())
		if err != nil {
			return err
		}
		s, err := p.Status()
		if err != nil {
			return err
		}
		from := "dmsetup status " + p.Name()
		facts = []evidence.Fact{
			evidence.F("events of the pool", "dmsetup info "+p.Name(), fmt.Sprint(info.Event)),
			evidence.F("mode of the pool", from, string(s.Mode)),
			evidence.F("data blocks in use", from, fmt.Sprint(s.Data.Used)),
			evidence.F("data blocks, all", from, fmt.Sprint(s.Data.Total)),
		}
		sys, err := sysBlock(dmNode(b, "direct_tdata"))
		if err != nil {
			return err
		}
		size, err := os.ReadFile(sys + "/size")
		facts = append(facts, evidence.F("sectors of the data device", sys+"/size", strings.TrimSpace(string(size))))
		return err
	})
	return facts, err
}
