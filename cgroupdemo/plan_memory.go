package cgroupdemo

import (
	"slices"
	"strconv"
)

// memoryKnobs orders the memory controller's writes. Version 1 keeps
// memory <= memory+swap at every moment, so a limit that is raised above the
// present sum needs the sum raised first; otherwise the limit comes first.
func memoryKnobs(s Spec, now Now) []knob {
	m := s.Memory
	if m == nil {
		return nil
	}
	limit, swap := or(m.Limit, 0), or(m.Swap, 0)
	var list []knob
	if limit != 0 {
		list = append(list, knob{controller: Memory, field: "memory.limit",
			v1: one("memory.limit_in_bytes", strconv.FormatInt(limit, 10)), v2: one("memory.max", bytesOrMax(limit)),
			why: "above this the kernel first reclaims, then kills a process of the group"})
	}
	if limit == -1 && swap == 0 {
		swap = -1 // memory without a limit and swap with one would make no sense
	}
	if swap != 0 {
		list = append(list, knob{controller: Memory, field: "memory.swap",
			v1: one("memory.memsw.limit_in_bytes", strconv.FormatInt(swap, 10)), v2: one("memory.swap.max", SwapToV2(limit, swap)),
			why: "version 1 limits the sum of memory and swap, version 2 swap alone"})
		above := limit == -1 || uint64(limit) > now.MemSwapLimit
		if limit != 0 && now.MemSwapLimit != 0 && now.MemSwapLimit != Unlimited && above {
			slices.Reverse(list)
		}
	}
	return append(list, softKnobs(s)...)
}

// softKnobs are the memory wishes without an order among them.
func softKnobs(s Spec) []knob {
	m := s.Memory
	var list []knob
	if r := or(m.Reservation, 0); r != 0 {
		list = append(list, knob{controller: Memory, field: "memory.reservation",
			v1: one("memory.soft_limit_in_bytes", strconv.FormatInt(r, 10)), v2: one("memory.low", bytesOrMax(r)),
			why: "what is below this is reclaimed last when the machine runs short"})
	}
	if m.Swappiness != nil {
		list = append(list, knob{controller: Memory, field: "memory.swappiness",
			v1:      one("memory.swappiness", strconv.FormatUint(*m.Swappiness, 10)),
			why:     "whether reclaim prefers anonymous memory (swap) or file pages",
			without: "version 2 has no swappiness of a group; the sysctl vm.swappiness holds for all"})
	}
	if m.DisableOOMKiller != nil {
		value := "0"
		if *m.DisableOOMKiller {
			value = "1"
		}
		list = append(list, knob{controller: Memory, field: "memory.disableOOMKiller", v1: one("memory.oom_control", value),
			why:     "with 1 a process at the limit sleeps until memory is freed, instead of being killed",
			without: "version 2 cannot switch the OOM killer off; memory.high slows a group down instead"})
	}
	if t := or(m.KernelTCP, 0); t != 0 {
		list = append(list, knob{controller: Memory, field: "memory.kernelTCP",
			v1:      one("memory.kmem.tcp.limit_in_bytes", strconv.FormatInt(t, 10)),
			why:     "memory for TCP buffers",
			without: "version 2 counts socket buffers in memory.current (memory.stat: sock) and limits them with the rest"})
	}
	//lint:ignore SA1019 config files still carry the field; we say why it is left
	if m.Kernel != nil {
		list = append(list, knob{controller: Memory, field: "memory.kernel",
			without: "the kernel gave up a limit of its own for kernel memory (5.4 deprecated it, 5.16 removed it); memory.limit covers it"})
	}
	if m.UseHierarchy != nil && !*m.UseHierarchy {
		list = append(list, knob{controller: Memory, field: "memory.useHierarchy = false",
			without: "accounting is always hierarchical, on version 1 since Linux 5.11"})
	}
	return list
}

func bytesOrMax(n int64) string {
	if n < 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}
