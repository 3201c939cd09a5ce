package bundle

import (
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/minicontainer"
)

// makeResources are the limits, and which devices may be used.
func makeResources(h *minicontainer.HostConfig, f Facts) (*specs.LinuxResources, error) {
	r, err := Limits(&h.Resources, f.Throttled)
	if err != nil {
		return nil, err
	}
	if h.Privileged {
		r.Devices = []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
		return r, nil
	}
	r.Devices = []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
	for i, d := range f.Devices {
		access := "rwm"
		if i < len(h.Devices) && h.Devices[i].CgroupPermissions != "" {
			access = h.Devices[i].CgroupPermissions
		}
		r.Devices = append(r.Devices, specs.LinuxDeviceCgroup{Allow: true, Type: d.Type, Major: &d.Major, Minor: &d.Minor, Access: access})
	}
	for _, rule := range h.DeviceCgroupRules {
		d, err := parseDeviceRule(rule)
		if err != nil {
			return nil, err
		}
		r.Devices = append(r.Devices, d)
	}
	return r, nil
}

// Limits puts the limits into the specification's words. What is 0 is not
// limited. numbers are the block devices' of the throttles.
func Limits(r *minicontainer.Resources, numbers map[string][2]int64) (*specs.LinuxResources, error) {
	out := &specs.LinuxResources{}
	if m := memory(r); m != (specs.LinuxMemory{}) {
		out.Memory = &m
	}
	if c := cpu(r); c != (specs.LinuxCPU{}) {
		out.CPU = &c
	}
	if r.PidsLimit != nil && *r.PidsLimit != 0 {
		limit := *r.PidsLimit
		out.Pids = &specs.LinuxPids{Limit: &limit}
	}
	block := &specs.LinuxBlockIO{
		ThrottleReadBpsDevice: throttles(r.BlkioDeviceReadBps, numbers), ThrottleWriteBpsDevice: throttles(r.BlkioDeviceWriteBps, numbers),
		ThrottleReadIOPSDevice: throttles(r.BlkioDeviceReadIOps, numbers), ThrottleWriteIOPSDevice: throttles(r.BlkioDeviceWriteIOps, numbers),
	}
	if r.BlkioWeight > 0 {
		block.Weight = &r.BlkioWeight
	}
	if block.Weight != nil || len(numbers) > 0 {
		out.BlockIO = block
	}
	return out, nil
}

func memory(r *minicontainer.Resources) (m specs.LinuxMemory) {
	if r.Memory > 0 {
		swap := r.MemorySwap
		if swap == 0 {
			swap = 2 * r.Memory // as much swap as memory
		}
		m.Limit, m.Swap = &r.Memory, &swap
	}
	if r.MemoryReservation > 0 {
		m.Reservation = &r.MemoryReservation
	}
	if r.MemorySwappiness != nil && *r.MemorySwappiness >= 0 {
		n := uint64(*r.MemorySwappiness)
		m.Swappiness = &n
	}
	m.DisableOOMKiller = r.OomKillDisable
	return m
}

// period is how often the quota is refilled, in microseconds.
const period = 100_000

func cpu(r *minicontainer.Resources) (c specs.LinuxCPU) {
	if r.CPUShares > 0 {
		n := uint64(r.CPUShares)
		c.Shares = &n
	}
	quota, every := r.CPUQuota, uint64(r.CPUPeriod)
	if r.NanoCPUs > 0 {
		quota, every = r.NanoCPUs*period/1e9, period
	}
	if quota != 0 {
		c.Quota = &quota
	}
	if every != 0 {
		c.Period = &every
	}
	c.Cpus, c.Mems = r.CpusetCpus, r.CpusetMems
	return c
}

func throttles(list []minicontainer.ThrottleDevice, numbers map[string][2]int64) []specs.LinuxThrottleDevice {
	var out []specs.LinuxThrottleDevice
	for _, t := range list {
		d := specs.LinuxThrottleDevice{Rate: t.Rate}
		d.Major, d.Minor = numbers[t.Path][0], numbers[t.Path][1]
		out = append(out, d)
	}
	return out
}

// parseDeviceRule reads --device-cgroup-rule "c 1:3 rwm".
func parseDeviceRule(text string) (d specs.LinuxDeviceCgroup, err error) {
	bad := &minicontainer.Invalid{Reason: "invalid device cgroup rule format: '" + text + "'"}
	fields := strings.Fields(text)
	if len(fields) != 3 || !strings.Contains("abc", fields[0]) || strings.Trim(fields[2], "rwm") != "" {
		return d, bad
	}
	d = specs.LinuxDeviceCgroup{Allow: true, Type: fields[0], Access: fields[2]}
	major, minor, found := strings.Cut(fields[1], ":")
	if !found {
		return d, bad
	}
	for _, n := range []struct {
		text string
		to   **int64
	}{{major, &d.Major}, {minor, &d.Minor}} {
		if n.text == "*" {
			continue
		}
		v, err := strconv.ParseInt(n.text, 10, 64)
		if err != nil {
			return d, bad
		}
		*n.to = &v
	}
	return d, nil
}
