package dmthin

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// Autoextend is LVM's policy for pools (lvm.conf(5), thin_pool_autoextend_threshold
// and _percent): when more than Threshold percent of the blocks are used, grow by
// Percent of the size. Docker's guide for direct-lvm has 80 and 20.
type Autoextend struct{ Threshold, Percent uint64 }

// Validate refuses policies that never act or never stop. A nil policy is none.
func (a *Autoextend) Validate() error {
	if a == nil {
		return nil
	}
	if a.Threshold < 1 || a.Threshold > 99 || a.Percent < 1 || a.Percent > 1000 {
		return fmt.Errorf("autoextend at %d %% by %d %%: want 1 to 99 and 1 to 1000: %w", a.Threshold, a.Percent, unix.EINVAL)
	}
	return nil
}

// LowWater is the threshold as the kernel wants it: in free blocks, of a pool of so
// many. The event comes when there are fewer.
func (a *Autoextend) LowWater(total uint64) uint64 { return total - total*a.Threshold/100 }

// Wants says whether a pool should grow, and to how many blocks.
func (a *Autoextend) Wants(data Usage) (blocks uint64, grow bool) {
	if data.Free() >= a.LowWater(data.Total) {
		return data.Total, false
	}
	return data.Total + max(data.Total*a.Percent/100, 1), true
}

// KeepExtending grows the pool by its policy until the context ends (then its error
// is returned) or growing fails. Each time it has grown, it calls grown with the
// new status. LVM's daemon dmeventd does the same.
//
// The event number is read before the status: an event between the two only means
// one look too many.
func (p *Pool) KeepExtending(ctx context.Context, grown func(PoolStatus)) error {
	if p.spec.Autoextend == nil {
		return fmt.Errorf("pool %s has no policy for growing: %w", p.name, unix.EINVAL)
	}
	for {
		info, err := p.control.Info(p.name)
		if err != nil {
			return err
		}
		if err := p.extendNow(grown); err != nil {
			return err
		}
		if _, err := p.control.Wait(ctx, p.name, info.Event); err != nil {
			return err
		}
	}
}

// extendNow grows until the policy is content: one step may not be enough.
func (p *Pool) extendNow(grown func(PoolStatus)) error {
	for {
		s, err := p.Status()
		if err != nil {
			return err
		}
		blocks, grow := p.spec.Autoextend.Wants(s.Data)
		if !grow || s.Data.Total == 0 {
			return nil
		}
		if err := p.Grow(blocks); err != nil {
			return err
		}
		if s, err = p.Status(); err != nil {
			return err
		}
		grown(s)
	}
}
