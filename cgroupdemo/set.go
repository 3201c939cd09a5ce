package cgroupdemo

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// PlanFor translates the Spec for this group: which version serves what, and
// the present memory limit, which decides an order. See [NewPlan].
func (g *Group) PlanFor(s Spec) Plan {
	var now Now
	if p, err := g.Place(Memory); err == nil && p.Version == V1 {
		now.MemSwapLimit = ReadNumber(p.Dir, "memory.memsw.limit_in_bytes").Value
	}
	return NewPlan(s, g.VersionOf, now)
}

// Set writes the Spec into the group's control files, in the plan's order, and
// stops at the first refusal; what was written before it stays. It returns the
// plan, whose Left part is the caller's to judge: what is missing on this
// version is no error here.
func (g *Group) Set(s Spec) (Plan, error) {
	if err := s.Validate(); err != nil {
		return Plan{}, fmt.Errorf("limits of group %s: %w", g.Config.Name, err)
	}
	if err := g.checkUsage(s); err != nil {
		return Plan{}, err
	}
	plan := g.PlanFor(s)
	for i, w := range plan.Writes {
		err := g.Write(w)
		if errors.Is(err, unix.EINVAL) && i+1 < len(plan.Writes) && isPeriodAndQuota(w, plan.Writes[i+1]) {
			err = cmp.Or(g.Write(plan.Writes[i+1]), g.Write(w))
		}
		if err != nil {
			return plan, fmt.Errorf("limit group %s: %s: %w", g.Config.Name, w.Controller, err)
		}
	}
	return plan, nil
}

// isPeriodAndQuota: of a group above that is limited itself, the new period with
// the present quota may be more than that one's part. The quota goes first then.
func isPeriodAndQuota(w, next Write) bool {
	return w.File == "cpu.cfs_period_us" && next.File == "cpu.cfs_quota_us"
}

// checkUsage honours memory.checkBeforeUpdate: version 2 would take a limit
// below the usage and kill, version 1 refuses by itself.
func (g *Group) checkUsage(s Spec) error {
	if s.Memory == nil || !or(s.Memory.CheckBeforeUpdate, false) || or(s.Memory.Limit, 0) <= 0 {
		return nil
	}
	usage := g.Memory().Usage
	if usage.Err == nil && usage.Value > uint64(*s.Memory.Limit) {
		return fmt.Errorf("limit group %s: memory.limit %d is below the present usage %d (%s): %w",
			g.Config.Name, *s.Memory.Limit, usage.Value, usage.Path, unix.EBUSY)
	}
	return nil
}

// Write does one planned write: write(2) on the control file, or, for a v2
// device rule, bpf(2). Where the kernel has no such file, the write's Else is
// tried, and an optional one is passed over.
func (g *Group) Write(w Write) error {
	p, err := g.Place(w.Controller)
	if err != nil {
		return err
	}
	if w.File == DeviceProgram {
		return setDeviceProgram(p.Dir, w.Table)
	}
	for s := &w.Setting; s != nil; s = s.Else {
		err = writeFile(filepath.Join(p.Dir, s.File), s.Value)
		if !isAbsent(err) {
			return err
		}
	}
	if w.Optional {
		return nil
	}
	return err
}
