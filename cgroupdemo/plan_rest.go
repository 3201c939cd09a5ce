package cgroupdemo

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

func pidsKnobs(s Spec) []knob {
	if s.Pids == nil || s.Pids.Limit == nil {
		return nil
	}
	w := one("pids.max", bytesOrMax(*s.Pids.Limit))
	return []knob{{controller: PIDs, field: "pids.limit", v1: w, v2: w,
		why: "fork and clone fail with EAGAIN above this many tasks; moving a process in is not refused"}}
}

// hugetlbKnobs writes the reservation limit too where the kernel has it (5.7):
// without it a program may reserve pages that it is then killed for touching (SIGBUS).
func hugetlbKnobs(s Spec) []knob {
	var list []knob
	for _, h := range s.HugepageLimits {
		v := strconv.FormatUint(h.Limit, 10)
		file := "hugetlb." + h.Pagesize
		list = append(list, knob{controller: HugeTLB, field: "hugepageLimits",
			v1:  []Setting{{File: file + ".limit_in_bytes", Value: v}, {File: file + ".rsvd.limit_in_bytes", Value: v, Optional: true}},
			v2:  []Setting{{File: file + ".max", Value: v}, {File: file + ".rsvd.max", Value: v, Optional: true}},
			why: "bytes of huge pages of that size"})
	}
	return list
}

func networkKnobs(s Spec) []knob {
	if s.Network == nil {
		return nil
	}
	var list []knob
	if id := s.Network.ClassID; id != nil {
		list = append(list, knob{controller: NetCls, field: "network.classID",
			v1:      one("net_cls.classid", strconv.FormatUint(uint64(*id), 10)),
			why:     "marks the group's packets for tc and netfilter",
			without: "version 2 has no net_cls; netfilter matches the group's path instead (nft: socket cgroupv2)"})
	}
	for _, p := range s.Network.Priorities {
		list = append(list, knob{controller: NetPrio, field: "network.priorities",
			v1:      one("net_prio.ifpriomap", fmt.Sprintf("%s %d", p.Name, p.Priority)),
			why:     "priority of the group's packets on that interface",
			without: "version 2 has no net_prio; nftables or a BPF program sets the priority"})
	}
	return list
}

func rdmaKnobs(s Spec) []knob {
	var list []knob
	for _, device := range slices.Sorted(maps.Keys(s.Rdma)) {
		part := []string{device}
		if n := s.Rdma[device].HcaHandles; n != nil {
			part = append(part, fmt.Sprintf("hca_handle=%d", *n))
		}
		if n := s.Rdma[device].HcaObjects; n != nil {
			part = append(part, fmt.Sprintf("hca_object=%d", *n))
		}
		if len(part) > 1 {
			w := one("rdma.max", strings.Join(part, " "))
			list = append(list, knob{controller: RDMA, field: "rdma", v1: w, v2: w, why: "handles and objects of an RDMA adapter"})
		}
	}
	return list
}

// deviceKnobs: version 1 takes rules as text, version 2 takes a program.
func deviceKnobs(s Spec) []knob {
	if len(s.Devices) == 0 {
		return nil
	}
	table := NewDeviceTable(s.Devices)
	return []knob{{controller: Devices, field: "devices", v1: table.v1(),
		v2:  []Setting{{File: DeviceProgram, Value: table.String(), Table: &table}},
		why: "which device nodes may be opened or made; the kernel asks at each open(2) and mknod(2)"}}
}

// unifiedKnobs are v2 files by name; they come last so that they can correct
// what the translated fields have set.
func unifiedKnobs(s Spec) []knob {
	var list []knob
	for _, file := range slices.Sorted(maps.Keys(s.Unified)) {
		list = append(list, knob{controller: owner(file), field: "unified." + file, v2: one(file, s.Unified[file]),
			why:     "given in version 2's own words",
			without: "the key names a file of version 2, but the controller is on version 1 here"})
	}
	return list
}

// owner is the controller whose v2 file it is: the part before the first dot.
func owner(file string) Controller {
	prefix, _, _ := strings.Cut(file, ".")
	for _, n := range names {
		if n.v2 == prefix {
			return n.controller
		}
	}
	return Core
}
