package command

import (
	"encoding/json"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// updateOptions are the limits that update can change; those given count.
type updateOptions struct {
	file                            string
	memory, reservation, swap, pids int64
	quota                           int64
	period, shares                  uint64
	cpus, mems                      string
}

func (c *call) update() *verb {
	o := &updateOptions{}
	v := newVerb("update", "<container-id>", "Change the limits of a container", 1, 1)
	v.StringVar(&o.file, "resources", "", "file with the resources object as JSON, - is standard input")
	v.letter("r", "resources")
	v.Int64Var(&o.memory, "memory", 0, "memory limit in bytes")
	v.Int64Var(&o.reservation, "memory-reservation", 0, "soft limit in bytes")
	v.Int64Var(&o.swap, "memory-swap", 0, "memory and swap together in bytes, -1 is no limit")
	v.Int64Var(&o.pids, "pids-limit", 0, "how many processes, -1 is no limit")
	v.Int64Var(&o.quota, "cpu-quota", 0, "microseconds per period")
	v.Uint64Var(&o.period, "cpu-period", 0, "microseconds")
	v.Uint64Var(&o.shares, "cpu-share", 0, "relative weight")
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
		"memory":             func() { r.Memory.Limit = &o.memory },
		"memory-reservation": func() { r.Memory.Reservation = &o.reservation },
		"memory-swap":        func() { r.Memory.Swap = &o.swap },
		"pids-limit":         func() { r.Pids = &specs.LinuxPids{Limit: &o.pids} },
		"cpu-quota":          func() { r.CPU.Quota = &o.quota },
		"cpu-period":         func() { r.CPU.Period = &o.period },
		"cpu-share":          func() { r.CPU.Shares = &o.shares },
	} {
		if given[name] {
			set()
		}
	}
	return r, nil
}
