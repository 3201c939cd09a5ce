package dmthin

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Grow gives the pool more data blocks: the store first, then a longer table for
// the pool. Loaded and resumed, it takes the new blocks over, and lets writes go on
// that had waited for space. Thin devices stay active.
func (p *Pool) Grow(blocks uint64) error {
	if p.store == nil {
		return fmt.Errorf("grow pool %s: it was started by another process, which knows its store: %w", p.name, unix.EOPNOTSUPP)
	}
	if err := p.store.Grow(blocks * p.spec.BlockSectors * SectorSize); err != nil {
		return err
	}
	// The size is read back: a store may have rounded up.
	metadata, data := p.store.Devices()
	size, err := DeviceSize(data)
	if err != nil {
		return err
	}
	if err := p.control.Load(p.name, p.spec.table(metadata, data, size/SectorSize), false); err != nil {
		return err
	}
	_, err = p.control.Resume(p.name)
	return err
}
