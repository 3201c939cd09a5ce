package cgroupdemo

import (
	"slices"
)

// Setting is a control file and what to write into it.
type Setting struct {
	File  string
	Value string
	Else  *Setting // to be used where the kernel has no such File
	// Optional says that a kernel without the file is no reason to fail.
	Optional bool
	// Table is what a [DeviceProgram] is made from; Value is the same in words.
	Table *DeviceTable
}

// Write is one planned write, with what the other version would have needed.
type Write struct {
	Controller Controller
	Version    Version
	Setting
	Why   string
	Other []Setting // the same wish in the words of Version.Other(); empty if it cannot say it
}

// Left is a wish that the version which serves the controller cannot fulfil.
type Left struct {
	Controller Controller
	Version    Version
	Field      string // of the Spec
	Why        string
	Other      []Setting
}

// Plan is a Spec in the kernel's words, in the order in which to write.
type Plan struct {
	Writes []Write
	Left   []Left
}

// Now is the state that decides the order of writes. The zero value is a fresh group.
type Now struct {
	MemSwapLimit uint64 // v1 memory.memsw.limit_in_bytes; 0: never limited
}

// DeviceProgram is the "file" of a v2 write that is really an attached BPF program.
const DeviceProgram = "bpf(BPF_PROG_ATTACH, BPF_CGROUP_DEVICE)"

// knob is one wish in both versions' words; an empty side cannot express it,
// and then without says why.
type knob struct {
	controller Controller
	field      string
	v1, v2     []Setting
	why        string
	without    string
}

// NewPlan translates a Spec. It is pure: version says who serves a controller
// (0: nobody), which [Hierarchies.VersionOf] knows. The order is the one that
// the kernel accepts; within a controller the reasons stand in plan_*.go.
func NewPlan(s Spec, version func(Controller) Version, now Now) Plan {
	var p Plan
	for _, k := range slices.Concat(cpuKnobs(s), cpusetKnobs(s), memoryKnobs(s, now), pidsKnobs(s),
		ioKnobs(s), hugetlbKnobs(s), networkKnobs(s), rdmaKnobs(s), deviceKnobs(s), unifiedKnobs(s)) {
		p.add(k, version(k.controller))
	}
	return p
}

func (p *Plan) add(k knob, v Version) {
	mine, other := k.v1, k.v2
	if v == V2 {
		mine, other = k.v2, k.v1
	}
	switch {
	case v == 0:
		p.Left = append(p.Left, Left{k.controller, v, k.field, "no mounted hierarchy has the controller", nil})
	case len(mine) == 0:
		p.Left = append(p.Left, Left{k.controller, v, k.field, k.without, other})
	}
	if v == 0 {
		return
	}
	for _, s := range mine {
		p.Writes = append(p.Writes, Write{k.controller, v, s, k.why, other})
	}
}

func one(file, value string) []Setting { return []Setting{{File: file, Value: value}} }
