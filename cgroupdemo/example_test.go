package cgroupdemo_test

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/cgroupdemo"
)

// What "half a CPU and 64 MiB" is on either version.
func ExampleNewPlan() {
	quota, period, limit := int64(50000), uint64(100000), int64(64<<20)
	spec := cgroupdemo.Spec{LinuxResources: specs.LinuxResources{
		CPU:    &specs.LinuxCPU{Quota: &quota, Period: &period},
		Memory: &specs.LinuxMemory{Limit: &limit},
	}}
	for _, version := range []cgroupdemo.Version{cgroupdemo.V1, cgroupdemo.V2} {
		plan := cgroupdemo.NewPlan(spec, func(cgroupdemo.Controller) cgroupdemo.Version { return version }, cgroupdemo.Now{})
		for _, w := range plan.Writes {
			fmt.Printf("%s: echo '%s' > %s\n", version, w.Value, w.File)
		}
	}
	// Output:
	// v1: echo '100000' > cpu.cfs_period_us
	// v1: echo '50000' > cpu.cfs_quota_us
	// v1: echo '67108864' > memory.limit_in_bytes
	// v2: echo '50000 100000' > cpu.max
	// v2: echo '67108864' > memory.max
}
