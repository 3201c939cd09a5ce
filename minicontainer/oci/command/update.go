package command

import (
	"encoding/json"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// updateOptions are the limits that update can change; those given count.
type updateOptions struct {
	file                      string
	memory, reservation, swap bytes
	pids, quota, realtime     int64
	period, shares, rtPeriod  uint64
	cpus, mems                string
}

func (c *call) update() *verb {
	o := &updateOptions{}
	v := newVerb("update", "<container-id>", "Change the limits of a container", 1, 1)
	v.StringVar(&o.file, "resources", "", "file with the resources object as JSON, - is standard input")
	v.letter("r", "resources")
	v.Var(&o.memory, "memory", "memory limit: `bytes`, or with k, m, g behind")
	v.Var(&o.reservation, "memory-reservation", "soft limit: `bytes`, or with k, m, g behind")
	v.Var(&o.swap, "memory-swap", "memory and swap together: `bytes`, or with k, m, g behind; -1 is no limit")
	v.Int64Var(&o.pids, "pids-limit", 0, "how many processes, -1 is no limit")
	v.Int64Var(&o.quota, "cpu-quota", 0, "microseconds per period")
	v.Uint64Var(&o.period, "cpu-period", 0, "microseconds")
	v.Uint64Var(&o.shares, "cpu-share", 0, "relative weight")
	v.Int64Var(&o.realtime, "cpu-rt-runtime", 0, "microseconds of realtime threads per period")
	v.Uint64Var(&o.rtPeriod, "cpu-rt-period", 0, "microseconds, for realtime threads")
	v.StringVar(&o.cpus, "cpuset-cpus", "", "processors to use")
	v.StringVar(&o.mems, "cpuset-mems", "", "memory nodes to use")
	v.do = func(args []string) error {
		box, err := c.open(args)
		if err != nil {
			return err
		}
		r, err := c.resources(o, v.given())
		if err != nil {
			return err
		}
		return box.Update(r)
	}
	return v
}

// resources reads the file, or takes the options that were given.
func (c *call) resources(o *updateOptions, given map[string]bool) (specs.LinuxResources, error) {
	var r specs.LinuxResources
	if o.file != "" {
		in := c.in
		if o.file != "-" {
			file, err := os.Open(o.file)
			if err != nil {
				return r, err
			}
			defer file.Close()
			in = file
		}
		return r, json.NewDecoder(in).Decode(&r)
	}
	r.Memory, r.CPU = &specs.LinuxMemory{}, &specs.LinuxCPU{Cpus: o.cpus, Mems: o.mems}
	for name, set := range map[string]func(){
		"memory":             func() { r.Memory.Limit = (*int64)(&o.memory) },
		"memory-reservation": func() { r.Memory.Reservation = (*int64)(&o.reservation) },
		"memory-swap":        func() { r.Memory.Swap = (*int64)(&o.swap) },
		"pids-limit":         func() { r.Pids = &specs.LinuxPids{Limit: &o.pids} },
		"cpu-quota":          func() { r.CPU.Quota = &o.quota },
		"cpu-period":         func() { r.CPU.Period = &o.period },
		"cpu-share":          func() { r.CPU.Shares = &o.shares },
		"cpu-rt-runtime":     func() { r.CPU.RealtimeRuntime = &o.realtime },
		"cpu-rt-period":      func() { r.CPU.RealtimePeriod = &o.rtPeriod },
	} {
		if given[name] {
			set()
		}
	}
	return r, nil
}
