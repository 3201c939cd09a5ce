package cgroupdemo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func always(v Version) func(Controller) Version {
	return func(Controller) Version { return v }
}

// lines writes a plan as "file = value", with "?" for optional and "|" for Else.
func lines(p Plan) []string {
	var list []string
	for _, w := range p.Writes {
		text := w.File + " = " + w.Value
		if w.Optional {
			text += " ?"
		}
		if w.Else != nil {
			text += " | " + w.Else.File + " = " + w.Else.Value
		}
		list = append(list, text)
	}
	for _, l := range p.Left {
		list = append(list, "left: "+l.Field)
	}
	return list
}

func ptr[T any](v T) *T { return &v }

func TestNewPlan(t *testing.T) {
	type spec = specs.LinuxResources
	disk := specs.LinuxBlockIODevice{Major: 7, Minor: 3}
	tests := []struct {
		name   string
		spec   Spec
		now    Now
		v1, v2 []string
	}{
		{name: "half a CPU", spec: Spec{LinuxResources: spec{CPU: &specs.LinuxCPU{Quota: ptr(int64(50000)), Period: ptr(uint64(100000))}}},
			v1: []string{"cpu.cfs_period_us = 100000", "cpu.cfs_quota_us = 50000"}, v2: []string{"cpu.max = 50000 100000"}},
		{name: "no quota", spec: Spec{LinuxResources: spec{CPU: &specs.LinuxCPU{Quota: ptr(int64(-1))}}},
			v1: []string{"cpu.cfs_quota_us = -1"}, v2: []string{"cpu.max = max"}},
		{name: "period alone", spec: Spec{LinuxResources: spec{CPU: &specs.LinuxCPU{Period: ptr(uint64(5000))}}},
			v1: []string{"cpu.cfs_period_us = 5000"}, v2: []string{"cpu.max = max 5000"}},
		{name: "shares", spec: Spec{LinuxResources: spec{CPU: &specs.LinuxCPU{Shares: ptr(uint64(1024))}}},
			v1: []string{"cpu.shares = 1024"}, v2: []string{"cpu.weight = 100"}},
		{name: "weight keeps ratios", spec: Spec{CPUWeight: ptr(uint64(200))},
			v1: []string{"cpu.shares = 2048"}, v2: []string{"cpu.weight = 200"}},
		{name: "leaving idleness goes first", spec: Spec{CPUWeight: ptr(uint64(100)), LinuxResources: spec{CPU: &specs.LinuxCPU{Idle: ptr(int64(0)), Burst: ptr(uint64(7))}}},
			v1: []string{"cpu.idle = 0", "cpu.shares = 1024", "cpu.cfs_burst_us = 7"}, v2: []string{"cpu.idle = 0", "cpu.weight = 100", "cpu.max.burst = 7"}},
		{name: "becoming idle goes last", spec: Spec{CPUWeight: ptr(uint64(100)), LinuxResources: spec{CPU: &specs.LinuxCPU{Idle: ptr(int64(1))}}},
			v1: []string{"cpu.shares = 1024", "cpu.idle = 1"}, v2: []string{"cpu.weight = 100", "cpu.idle = 1"}},
		{name: "realtime", spec: Spec{LinuxResources: spec{CPU: &specs.LinuxCPU{RealtimePeriod: ptr(uint64(1000000)), RealtimeRuntime: ptr(int64(9000))}}},
			v1: []string{"cpu.rt_period_us = 1000000", "cpu.rt_runtime_us = 9000"}, v2: []string{"left: cpu.realtimeRuntime, cpu.realtimePeriod"}},
		{name: "cpuset", spec: Spec{LinuxResources: spec{CPU: &specs.LinuxCPU{Cpus: "0-1", Mems: "0"}}},
			v1: []string{"cpuset.cpus = 0-1", "cpuset.mems = 0"}, v2: []string{"cpuset.cpus = 0-1", "cpuset.mems = 0"}},
		{name: "memory and swap", spec: Spec{LinuxResources: spec{Memory: &specs.LinuxMemory{Limit: ptr(int64(1000)), Swap: ptr(int64(3000)), Reservation: ptr(int64(500))}}},
			v1: []string{"memory.limit_in_bytes = 1000", "memory.memsw.limit_in_bytes = 3000", "memory.soft_limit_in_bytes = 500"},
			v2: []string{"memory.max = 1000", "memory.swap.max = 2000", "memory.low = 500"}},
		{name: "raising above the present sum", now: Now{MemSwapLimit: 900},
			spec: Spec{LinuxResources: spec{Memory: &specs.LinuxMemory{Limit: ptr(int64(1000)), Swap: ptr(int64(1000))}}},
			v1:   []string{"memory.memsw.limit_in_bytes = 1000", "memory.limit_in_bytes = 1000"},
			v2:   []string{"memory.swap.max = 0", "memory.max = 1000"}},
		{name: "memory without limit", spec: Spec{LinuxResources: spec{Memory: &specs.LinuxMemory{Limit: ptr(int64(-1))}}},
			v1: []string{"memory.limit_in_bytes = -1", "memory.memsw.limit_in_bytes = -1"}, v2: []string{"memory.max = max", "memory.swap.max = max"}},
		//lint:ignore SA1019 that the obsolete field is left out is what this case checks
		{name: "what version 2 gave up", spec: Spec{LinuxResources: spec{Memory: &specs.LinuxMemory{Swappiness: ptr(uint64(10)), DisableOOMKiller: ptr(true), KernelTCP: ptr(int64(1)), Kernel: ptr(int64(1)), UseHierarchy: ptr(false)}}},
			v1: []string{"memory.swappiness = 10", "memory.oom_control = 1", "memory.kmem.tcp.limit_in_bytes = 1", "left: memory.kernel", "left: memory.useHierarchy = false"},
			v2: []string{"left: memory.swappiness", "left: memory.disableOOMKiller", "left: memory.kernelTCP", "left: memory.kernel", "left: memory.useHierarchy = false"}},
		{name: "pids", spec: Spec{LinuxResources: spec{Pids: &specs.LinuxPids{Limit: ptr(int64(20))}}}, v1: []string{"pids.max = 20"}, v2: []string{"pids.max = 20"}},
		{name: "pids without limit", spec: Spec{LinuxResources: spec{Pids: &specs.LinuxPids{Limit: ptr(int64(-1))}}}, v1: []string{"pids.max = max"}, v2: []string{"pids.max = max"}},
		{name: "blkio", spec: Spec{LinuxResources: spec{BlockIO: &specs.LinuxBlockIO{Weight: ptr(uint16(10)), LeafWeight: ptr(uint16(10)),
			WeightDevice:            []specs.LinuxWeightDevice{{LinuxBlockIODevice: disk, Weight: ptr(uint16(1000))}},
			ThrottleWriteBpsDevice:  []specs.LinuxThrottleDevice{{LinuxBlockIODevice: disk, Rate: 1 << 20}},
			ThrottleReadIOPSDevice:  []specs.LinuxThrottleDevice{{LinuxBlockIODevice: disk, Rate: 0}},
			ThrottleReadBpsDevice:   []specs.LinuxThrottleDevice{{LinuxBlockIODevice: disk, Rate: 5}},
			ThrottleWriteIOPSDevice: []specs.LinuxThrottleDevice{{LinuxBlockIODevice: disk, Rate: 6}}}}},
			v1: []string{"blkio.weight = 10 | blkio.bfq.weight = 10", "blkio.weight_device = 7:3 1000 | blkio.bfq.weight_device = 7:3 1000",
				"blkio.throttle.read_bps_device = 7:3 5", "blkio.throttle.write_bps_device = 7:3 1048576",
				"blkio.throttle.read_iops_device = 7:3 0", "blkio.throttle.write_iops_device = 7:3 6", "left: blockIO.leafWeight"},
			v2: []string{"io.bfq.weight = 10 | io.weight = 1", "io.bfq.weight = 7:3 1000 | io.weight = 7:3 10000",
				"io.max = 7:3 rbps=5", "io.max = 7:3 wbps=1048576", "io.max = 7:3 riops=max", "io.max = 7:3 wiops=6", "left: blockIO.leafWeight"}},
		{name: "hugetlb", spec: Spec{LinuxResources: spec{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4}}}},
			v1: []string{"hugetlb.2MB.limit_in_bytes = 4", "hugetlb.2MB.rsvd.limit_in_bytes = 4 ?"}, v2: []string{"hugetlb.2MB.max = 4", "hugetlb.2MB.rsvd.max = 4 ?"}},
		{name: "network", spec: Spec{LinuxResources: spec{Network: &specs.LinuxNetwork{ClassID: ptr(uint32(0x100001)), Priorities: []specs.LinuxInterfacePriority{{Name: "eth0", Priority: 5}}}}},
			v1: []string{"net_cls.classid = 1048577", "net_prio.ifpriomap = eth0 5"}, v2: []string{"left: network.classID", "left: network.priorities"}},
		{name: "rdma", spec: Spec{LinuxResources: spec{Rdma: map[string]specs.LinuxRdma{"mlx5_1": {HcaHandles: ptr(uint32(3)), HcaObjects: ptr(uint32(4))}, "a": {}}}},
			v1: []string{"rdma.max = mlx5_1 hca_handle=3 hca_object=4"}, v2: []string{"rdma.max = mlx5_1 hca_handle=3 hca_object=4"}},
		{name: "devices", spec: Spec{LinuxResources: spec{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}, {Allow: true, Type: "c", Major: ptr(int64(1)), Minor: ptr(int64(3)), Access: "rw"}}}},
			v1: []string{"devices.deny = a", "devices.allow = c 1:3 rw"}, v2: []string{DeviceProgram + " = deny all; allow c 1:3 rw"}},
		{name: "unified", spec: Spec{LinuxResources: spec{Unified: map[string]string{"memory.high": "max", "cpu.max": "1 1000"}}},
			v1: []string{"left: unified.cpu.max", "left: unified.memory.high"}, v2: []string{"cpu.max = 1 1000", "memory.high = max"}},
	}
	for _, test := range tests {
		for version, want := range map[Version][]string{V1: test.v1, V2: test.v2} {
			got := lines(NewPlan(test.spec, always(version), test.now))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s on %s (-want +got):\n%s", test.name, version, diff)
			}
			for _, w := range NewPlan(test.spec, always(version), test.now).Writes {
				if Meaning(w.File) == "" && w.File != DeviceProgram {
					t.Errorf("%s: %s has no meaning to be shown", test.name, w.File)
				}
			}
		}
		if err := test.spec.Validate(); err != nil && test.name != "unified" {
			t.Errorf("%s: Validate() = %v; want nil", test.name, err)
		}
	}
}

func TestPlanShowsTheOtherVersion(t *testing.T) {
	s := Spec{LinuxResources: specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr(int64(50000)), Period: ptr(uint64(100000))}}}
	p := NewPlan(s, always(V1), Now{})
	want := []Setting{{File: "cpu.max", Value: "50000 100000"}}
	if diff := cmp.Diff(want, p.Writes[0].Other); diff != "" {
		t.Errorf("Other of cpu.cfs_period_us (-want +got):\n%s", diff)
	}
	if p.Writes[0].Why == "" || p.Writes[0].Version.Other() != V2 {
		t.Errorf("write = %+v; want a reason, and v2 as the other version", p.Writes[0])
	}
}

func TestPlanWithoutController(t *testing.T) {
	s := Spec{CPUWeight: ptr(uint64(5))}
	p := NewPlan(s, always(0), Now{})
	if len(p.Writes) != 0 || len(p.Left) != 1 {
		t.Errorf("plan without controllers = %v; want one left", lines(p))
	}
}

func TestConversions(t *testing.T) {
	for shares, want := range map[uint64]uint64{0: 0, 1: 1, 2: 1, 1024: 100, 2048: 174, 512: 59, 262144: 10000, 1 << 20: 10000} {
		if got := SharesToWeight(shares); got != want {
			t.Errorf("SharesToWeight(%d) = %d; want %d", shares, got, want)
		}
	}
	for weight, want := range map[uint64]uint64{1: 10, 100: 1024, 200: 2048, 10000: 102400} {
		if got := WeightToShares(weight); got != want {
			t.Errorf("WeightToShares(%d) = %d; want %d", weight, got, want)
		}
	}
	for weight, want := range map[uint16]uint64{0: 0, 10: 1, 500: 4950, 1000: 10000} {
		if got := BlkioToIOWeight(weight); got != want {
			t.Errorf("BlkioToIOWeight(%d) = %d; want %d", weight, got, want)
		}
	}
	if got := SwapToV2(100, 100) + SwapToV2(100, -1); got != "0max" {
		t.Errorf("SwapToV2 = %s; want 0 and max", got)
	}
}

func TestValidate(t *testing.T) {
	type spec = specs.LinuxResources
	tests := []struct {
		spec Spec
		want string
	}{
		{Spec{CPUWeight: ptr(uint64(0))}, "CPUWeight = 0"},
		{Spec{CPUWeight: ptr(uint64(5)), LinuxResources: spec{CPU: &specs.LinuxCPU{Shares: ptr(uint64(5))}}}, "two ways"},
		{Spec{LinuxResources: spec{CPU: &specs.LinuxCPU{Shares: ptr(uint64(1))}}}, "cpu.shares = 1"},
		{Spec{LinuxResources: spec{CPU: &specs.LinuxCPU{Period: ptr(uint64(10))}}}, "cpu.period"},
		{Spec{LinuxResources: spec{CPU: &specs.LinuxCPU{Quota: ptr(int64(10))}}}, "cpu.quota = 10"},
		{Spec{LinuxResources: spec{CPU: &specs.LinuxCPU{Quota: ptr(int64(1000)), Burst: ptr(uint64(1001))}}}, "cpu.burst"},
		{Spec{LinuxResources: spec{CPU: &specs.LinuxCPU{Idle: ptr(int64(2))}}}, "cpu.idle"},
		{Spec{LinuxResources: spec{CPU: &specs.LinuxCPU{Cpus: "0-", Mems: "x"}}}, "cpu.mems"},
		{Spec{LinuxResources: spec{Memory: &specs.LinuxMemory{Limit: ptr(int64(-2))}}}, "memory.limit = -2"},
		{Spec{LinuxResources: spec{Memory: &specs.LinuxMemory{Swap: ptr(int64(5))}}}, "without memory.limit"},
		{Spec{LinuxResources: spec{Memory: &specs.LinuxMemory{Limit: ptr(int64(6)), Swap: ptr(int64(5))}}}, "at least the limit"},
		{Spec{LinuxResources: spec{Memory: &specs.LinuxMemory{Limit: ptr(int64(6)), Reservation: ptr(int64(7))}}}, "memory.reservation"},
		{Spec{LinuxResources: spec{Memory: &specs.LinuxMemory{Swappiness: ptr(uint64(101))}}}, "swappiness"},
		{Spec{LinuxResources: spec{BlockIO: &specs.LinuxBlockIO{Weight: ptr(uint16(9))}}}, "blockIO.weight"},
		{Spec{LinuxResources: spec{BlockIO: &specs.LinuxBlockIO{ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{{LinuxBlockIODevice: specs.LinuxBlockIODevice{Major: -1}}}}}}, "throttle"},
		{Spec{LinuxResources: spec{Devices: []specs.LinuxDeviceCgroup{{Type: "x", Access: "rwx", Major: ptr(int64(-2))}}}}, "devices[0].type"},
		{Spec{LinuxResources: spec{Pids: &specs.LinuxPids{Limit: ptr(int64(-2))}}}, "pids.limit"},
		{Spec{LinuxResources: spec{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2mb"}}}}, "page size"},
		{Spec{LinuxResources: spec{Rdma: map[string]specs.LinuxRdma{"": {}}}}, "rdma"},
		{Spec{LinuxResources: spec{Unified: map[string]string{"../memory.max": "1"}}}, "unified key"},
	}
	for _, test := range tests {
		if err := test.spec.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Validate(%s) = %v; want it to speak of %q", fmt.Sprint(test.spec), err, test.want)
		}
	}
}
