package labs

import (
	"errors"
	"fmt"
	"os"
	"sort"

	"golang.org/x/sys/unix"

	"cutaway/dmthin"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
	"cutaway/unionfs/driver/devicemapper"
)

// The labs on thin pools share what stands here: how a pool is found again, whoever
// started it, and what the kernel says of it.

// poolUUID and thinUUID are the UUIDs by which package dmthin knows its devices,
// written as in the shell.
func poolUUID(pool string) string { return "cutaway-pool-" + pool }

func thinUUID(pool string, id uint32) string { return fmt.Sprintf("cutaway-thin-%s-%d", pool, id) }

// withPool opens a pool that a step, or a shell line, has started.
func withPool(b *bench.Bench, name string, do func(*dmthin.Control, *dmthin.Pool) error) error {
	return withDM(func(c *dmthin.Control) error {
		pool, err := dmthin.FindPool(c, dmName(b, name))
		if errors.Is(err, unix.ENXIO) {
			return fmt.Errorf("pool %s: %w", dmName(b, name), bench.ErrNoSubject)
		}
		if err != nil {
			return err
		}
		return do(c, pool)
	})
}

// driverPool is a pool with its status in the words of the layer driver.
type driverPool struct{ *dmthin.Pool }

// Status is what `docker info` shows of a pool.
func (p driverPool) Status() []devicemapper.Fact {
	s, err := p.Pool.Status()
	if err != nil {
		return []devicemapper.Fact{{Name: "Pool Error", Value: err.Error()}}
	}
	return []devicemapper.Fact{{Name: "Pool Name", Value: p.Name()}, {Name: "Data Blocks", Value: s.Data.String()}, {Name: "Metadata Blocks", Value: s.Metadata.String()}}
}

// undoPool are the undos for a pool: its device, and the node that a reading of its
// trees makes for a moment.
func undoPool(b *bench.Bench, name string) []journal.Undo {
	return append([]journal.Undo{{Kind: journal.RemoveFile, Path: dmNode(b, name) + "-mappings"}}, undoDM(b, name)...)
}

// thinLine makes a thin device of a pool by hand, with its UUID.
func thinLine(pool, name string, id uint32, sectors uint64) string {
	return fmt.Sprintf(`echo "0 %d thin /dev/mapper/$N-%s %d" | dmsetup create --verifyudev --uuid %s $N-%s`,
		sectors, pool, id, thinUUID("$N-"+pool, id), name)
}

// poolFacts are the pool's status in words.
func poolFacts(b *bench.Bench, name string) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	err := withPool(b, name, func(_ *dmthin.Control, p *dmthin.Pool) error {
		s, err := p.Status()
		if err != nil {
			return err
		}
		from := "dmsetup status " + p.Name()
		facts = []evidence.Fact{
			evidence.F("mode of the pool", from, string(s.Mode)),
			evidence.F("data blocks, used/all", from, s.Data.String()),
			evidence.F("metadata blocks, used/all", from, s.Metadata.String()),
		}
		return nil
	})
	return facts, err
}

// sharingFacts say for each named thin device how many blocks it has, and how many
// of them nobody else has.
func sharingFacts(b *bench.Bench, pool string, names map[uint32]string) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	err := withPool(b, pool, func(_ *dmthin.Control, p *dmthin.Pool) error {
		mappings, err := p.Mappings()
		if err != nil {
			return err
		}
		sharing := mappings.Sharing()
		for id, name := range names {
			s, there := sharing[id]
			if !there {
				continue
			}
			facts = append(facts, evidence.F(fmt.Sprintf("device %d, %s", id, name), "the pool's metadata; by hand: thin_dump --metadata-snap",
				fmt.Sprint(s.Mapped), fmt.Sprint(s.Shared()), fmt.Sprint(s.Exclusive)))
		}
		sort.Slice(facts, func(i, j int) bool { return facts[i].Name < facts[j].Name })
		return nil
	})
	return facts, err
}

// fileFacts are the length of a file, and the bytes that it takes on its disk.
func fileFacts(name, path string) ([]evidence.Fact, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, fmt.Errorf("stat %s: %w", path, err)
	}
	return []evidence.Fact{
		evidence.F(name+", length", "stat "+path, fmt.Sprint(st.Size)),
		evidence.F(name+", bytes on disk", "du -B1 "+path, fmt.Sprint(st.Blocks*512)),
	}, nil
}

// writeAt writes bytes at a place of a file or device, and waits until they are there.
func writeAt(path string, offset int64, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, offset)
	return errors.Join(err, f.Sync(), f.Close())
}
