package oci

import (
	"context"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/cgroupdemo"
)

// Stats are the numbers of the events command, in the shape that runc gives
// them: containerd's and Kubernetes' tools read it.
type Stats struct {
	CPU struct {
		Usage struct {
			Total  uint64 `json:"total"` // nanoseconds
			Kernel uint64 `json:"kernel"`
			User   uint64 `json:"user"`
		} `json:"usage"`
		Throttling struct {
			Periods          uint64 `json:"periods"`
			ThrottledPeriods uint64 `json:"throttledPeriods"`
			ThrottledTime    uint64 `json:"throttledTime"`
		} `json:"throttling"`
	} `json:"cpu"`
	Memory struct {
		Cache uint64 `json:"cache"`
		Usage struct {
			Limit   uint64 `json:"limit"` // bytes; the largest number is no limit
			Usage   uint64 `json:"usage"`
			Max     uint64 `json:"max"`
			Failcnt uint64 `json:"failcnt"`
		} `json:"usage"`
		Raw map[string]uint64 `json:"raw,omitempty"`
	} `json:"memory"`
	Pids struct {
		Current uint64 `json:"current"`
		Limit   uint64 `json:"limit"`
	} `json:"pids"`
	Blkio struct {
		Bytes []IOEntry `json:"ioServiceBytesRecursive,omitempty"`
		Count []IOEntry `json:"ioServicedRecursive,omitempty"`
	} `json:"blkio"`
}

// IOEntry is one number about one block device.
type IOEntry struct {
	Major uint32 `json:"major"`
	Minor uint32 `json:"minor"`
	Op    string `json:"op"`
	Value uint64 `json:"value"`
}

// Stats reads the container's cgroup. What the kernel does not count here is 0.
func (c *Container) Stats() (Stats, error) {
	var s Stats
	if c.Status() == Stopped {
		return s, ErrNotRunning
	}
	g, err := c.openGroups()
	if err != nil {
		return s, err
	}
	cpu, memory, pids := g.CPU(), g.Memory(), g.PIDs()
	s.CPU.Usage.Total, s.CPU.Usage.User, s.CPU.Usage.Kernel = uint64(cpu.Total.Value), uint64(cpu.User.Value), uint64(cpu.System.Value)
	s.CPU.Throttling.Periods, s.CPU.Throttling.ThrottledPeriods = cpu.Periods.Value, cpu.Throttled.Value
	s.CPU.Throttling.ThrottledTime = uint64(cpu.ThrottledTime.Value)
	s.Memory.Cache, s.Memory.Raw = memory.File.Value, memory.Stat.Value
	s.Memory.Usage.Usage, s.Memory.Usage.Max = memory.Usage.Value, memory.Peak.Value
	s.Memory.Usage.Limit, s.Memory.Usage.Failcnt = memory.Limit.Value, memory.AtLimit.Value
	s.Pids.Current, s.Pids.Limit = pids.Current.Value, pids.Max.Value
	if s.Pids.Limit == cgroupdemo.Unlimited {
		s.Pids.Limit = 0
	}
	s.addIO(g.IO().Value)
	return s, nil
}

func (s *Stats) addIO(devices []cgroupdemo.DeviceIO) {
	for _, d := range devices {
		s.Blkio.Bytes = append(s.Blkio.Bytes, IOEntry{d.Major, d.Minor, "Read", d.ReadBytes}, IOEntry{d.Major, d.Minor, "Write", d.WriteBytes})
		s.Blkio.Count = append(s.Blkio.Count, IOEntry{d.Major, d.Minor, "Read", d.Reads}, IOEntry{d.Major, d.Minor, "Write", d.Writes})
	}
}

// OOMKills is how many of the container's processes the kernel has killed for
// want of memory: also of those that have ended, until Delete.
func (c *Container) OOMKills() uint64 {
	g, err := c.openGroups()
	if err != nil {
		return 0
	}
	return g.Memory().OOMKills.Value
}

// OOMs tells of every death for want of memory, until ctx ends.
func (c *Container) OOMs(ctx context.Context, tell func()) error {
	g, err := c.openGroups()
	if err != nil {
		return err
	}
	watch, err := g.WatchOOM()
	if err != nil {
		return err
	}
	defer watch.Close()
	for {
		if _, err := watch.Wait(ctx); err != nil {
			return err
		}
		tell()
	}
}

// Update changes the limits of a container that exists.
func (c *Container) Update(r specs.LinuxResources) error {
	if c.Status() == Stopped {
		return ErrNotRunning
	}
	g, err := c.openGroups()
	if err != nil {
		return err
	}
	if m := r.Memory; m != nil && m.Swap != nil && m.Limit == nil {
		r.Memory = withPresentLimit(*m, g)
	}
	return setLimitsOf(g, r)
}

// withPresentLimit: swap is given as the sum of memory and swap, and so together
// with the limit of memory, which stays as it is.
func withPresentLimit(m specs.LinuxMemory, g *cgroupdemo.Group) *specs.LinuxMemory {
	if limit := g.Memory().Limit; limit.Err == nil && limit.Value != cgroupdemo.Unlimited {
		now := int64(limit.Value)
		m.Limit = &now
	}
	return &m
}
