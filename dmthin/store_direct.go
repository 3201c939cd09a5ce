package dmthin

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// DirectSpec is a store on a whole block device: Docker's direct-lvm, with linear
// devices where Docker used LVM's volumes.
type DirectSpec struct {
	Name   string // the devices are <Name>_tmeta and <Name>_tdata, as LVM calls them
	Device string
	Wipe   bool // begin with an empty pool, whatever is on the device
}

// Extent is a piece of a device, in sectors.
type Extent struct{ Start, Length uint64 }

// splitAlign is where pieces begin: 1 MiB, a multiple of what disks like.
const splitAlign = 2048

// Split divides a device: 1 % for metadata, 95 % for data, and 4 % that stay free, for
// the pool to grow into. Data comes last, so that it grows in one piece.
//
//	0         1 %                                            96 %      100 %
//	| _tmeta  | _tdata                                       |  free   |
func Split(sectors uint64) (metadata, data, free Extent, err error) {
	unit := sectors / splitAlign
	if unit < 100 {
		return metadata, data, free, fmt.Errorf("%d sectors: want at least 100 MiB to split: %w", sectors, unix.ENOSPC)
	}
	// A pool wants 2 MiB of metadata, however small it is.
	meta := max(unit/100, 2)
	metadata = Extent{0, meta * splitAlign}
	data = Extent{metadata.Length, unit * 95 / 100 * splitAlign}
	end := data.Start + data.Length
	free = Extent{end, unit*splitAlign - end}
	return metadata, data, free, nil
}

// DirectStore is such a store with its two linear devices.
type DirectStore struct {
	control *Control
	spec    DirectSpec
	data    Extent
	limit   uint64 // sectors that data can grow to
}

// OpenDirectStore makes the two linear devices. A pool that was there before, and
// may have grown into the free part, keeps its size: its superblock tells.
func OpenDirectStore(c *Control, spec DirectSpec) (*DirectStore, error) {
	size, err := DeviceSize(spec.Device)
	if err != nil {
		return nil, err
	}
	metadata, data, free, err := Split(size / SectorSize)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", spec.Device, err)
	}
	s := &DirectStore{control: c, spec: spec, data: data, limit: data.Length + free.Length}
	if _, err := c.Start(s.name("_tmeta"), "", One(metadata.Length, Linear{spec.Device, metadata.Start}), false); err != nil {
		return nil, err
	}
	if err := s.startData(); err != nil {
		return nil, errors.Join(err, c.Stop(s.name("_tmeta")))
	}
	return s, nil
}

func (s *DirectStore) startData() error {
	meta := s.control.Node(s.name("_tmeta"))
	if s.spec.Wipe {
		if err := wipe(meta); err != nil {
			return err
		}
	}
	before, err := readSuperblock(meta)
	if err != nil {
		return err
	}
	if before != nil {
		s.data.Length = max(s.data.Length, before.DataBlocks*before.BlockSectors)
	}
	_, err = s.control.Start(s.name("_tdata"), "", s.table(), false)
	return err
}

func (s *DirectStore) name(suffix string) string { return s.spec.Name + suffix }

func (s *DirectStore) table() Table {
	return One(s.data.Length, Linear{s.spec.Device, s.data.Start})
}

// Devices are the nodes of the two linear devices.
func (s *DirectStore) Devices() (metadata, data string) {
	return s.control.Node(s.name("_tmeta")), s.control.Node(s.name("_tdata"))
}

// Grow makes _tdata reach into the free part. Load and resume change a device under
// its users: IO waits meanwhile, and nothing is lost.
func (s *DirectStore) Grow(data uint64) error {
	sectors := (data/SectorSize + splitAlign - 1) / splitAlign * splitAlign
	if sectors > s.limit {
		return fmt.Errorf("%s: grow the data to %d sectors: %s has room for %d: %w", s.spec.Name, sectors, s.spec.Device, s.limit, unix.ENOSPC)
	}
	if sectors <= s.data.Length {
		return nil
	}
	s.data.Length = sectors
	if err := s.control.Load(s.name("_tdata"), s.table(), false); err != nil {
		return err
	}
	_, err := s.control.Resume(s.name("_tdata"))
	return err
}

// Close removes both devices. What is on the disk stays.
func (s *DirectStore) Close() error {
	if err := s.control.Stop(s.name("_tdata")); err != nil {
		return err
	}
	return s.control.Stop(s.name("_tmeta"))
}
