package dmthin

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// PoolSpec is a pool to be started.
type PoolSpec struct {
	Name         string
	BlockSectors uint64 // 0 for DefaultBlockSectors; cannot change later
	// LowWater is the number of free blocks below which the kernel raises an event.
	// With Autoextend it is the policy's.
	LowWater   uint64
	Autoextend *Autoextend
	Features   PoolFeatures
}

// Validate finds what the kernel would refuse.
func (s PoolSpec) Validate() error {
	if s.Name == "" || strings.Contains(s.Name, "/") {
		return fmt.Errorf("pool name %q: want one without slashes: %w", s.Name, unix.EINVAL)
	}
	if b := s.BlockSectors; b < 128 || b > 1<<21 || b%128 != 0 {
		return fmt.Errorf("blocks of %d sectors: want a multiple of 128 up to 2097152: %w", b, unix.EINVAL)
	}
	return s.Autoextend.Validate()
}

// table is the pool's table on devices of a size, in sectors.
func (s PoolSpec) table(metadata, data string, sectors uint64) Table {
	blocks := sectors / s.BlockSectors
	low := s.LowWater
	if s.Autoextend != nil {
		low = s.Autoextend.LowWater(blocks)
	}
	// What is left behind the last whole block is of no use to a pool.
	return One(blocks*s.BlockSectors, ThinPool{metadata, data, s.BlockSectors, low, s.Features})
}

// Pool is a thin-pool at work. What thin devices are active is not kept here: the
// kernel knows, by their UUIDs.
type Pool struct {
	control *Control
	name    string
	store   Store // nil for a pool that was found
	spec    PoolSpec
}

// StartPool starts a pool on a store: a new one where the metadata is all zeros, or
// the one that is there. The store belongs to the pool from then on; after an
// error it is still the caller's.
func StartPool(c *Control, store Store, spec PoolSpec) (*Pool, error) {
	if spec.BlockSectors == 0 {
		spec.BlockSectors = DefaultBlockSectors
	}
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	metadata, data := store.Devices()
	size, err := DeviceSize(data)
	if err != nil {
		return nil, err
	}
	if _, err := c.Start(spec.Name, poolUUID(spec.Name), spec.table(metadata, data, size/SectorSize), false); err != nil {
		return nil, err
	}
	return &Pool{c, spec.Name, store, spec}, nil
}

// FindPool takes up a pool that another process started. It can do all but Grow,
// since only the starter knows what the pool stands on. ENXIO if there is none.
func FindPool(c *Control, name string) (*Pool, error) {
	info, err := c.InfoByUUID(poolUUID(name))
	if err != nil {
		return nil, err
	}
	// A process may have died between Create and Resume: that is no pool yet.
	if !info.Live {
		return nil, errors.Join(fmt.Errorf("pool %s has no table yet: %w", name, unix.ENXIO), c.Stop(name))
	}
	return &Pool{control: c, name: name}, c.MakeNode(name, info.Dev)
}

// UUIDs say whose a device is. The kernel keeps them unique, so that no thin
// device can be active twice under two names.
func poolUUID(pool string) string { return "cutaway-pool-" + pool }

func thinUUID(pool string, id uint32) string {
	return "cutaway-thin-" + pool + "-" + strconv.Itoa(int(id))
}

// Name is the pool's name in the device mapper.
func (p *Pool) Name() string { return p.name }

// Status is the kernel's view of the pool.
func (p *Pool) Status() (PoolStatus, error) {
	t, err := p.control.Status(p.name)
	if err != nil {
		return PoolStatus{}, err
	}
	if len(t) != 1 || t[0].Target != "thin-pool" {
		return PoolStatus{}, &Error{Verb: "status", Device: p.name, Detail: t.String(), Err: unix.EINVAL}
	}
	return ParsePoolStatus(t[0].Params)
}

// Active names the thin devices of this pool that have a node, with their ids.
func (p *Pool) Active() (map[string]uint32, error) {
	names, err := p.control.List()
	if err != nil {
		return nil, err
	}
	active := map[string]uint32{}
	for _, n := range names {
		// Kernels before 5.13 do not list UUIDs; each device is asked.
		if n.UUID == "" {
			if info, err := p.control.Info(n.Name); err == nil {
				n.UUID = info.UUID
			}
		}
		tail, ours := strings.CutPrefix(n.UUID, "cutaway-thin-"+p.name+"-")
		if id, err := strconv.ParseUint(tail, 10, 24); ours && err == nil {
			active[n.Name] = uint32(id)
		}
	}
	return active, nil
}

// Close takes everything down in reverse order: thin devices, the pool, the store.
// It stops where something is in use (EBUSY), and may be called again. The pool's
// content stays in the store.
func (p *Pool) Close() error {
	active, err := p.Active()
	if err != nil {
		return err
	}
	for name := range active {
		if err := p.control.Stop(name); err != nil {
			return err
		}
	}
	if err := p.control.Stop(p.name); err != nil && !errors.Is(err, unix.ENXIO) {
		return err
	}
	if p.store == nil {
		return nil
	}
	return p.store.Close()
}
