package cgroupdemo

import (
	"fmt"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// ioKnobs: weights are served by the BFQ scheduler (files named .bfq.) or, on
// version 2, by blk-iocost (io.weight); the old blkio.weight left with CFQ in
// Linux 5.0. Throttles work below every scheduler.
func ioKnobs(s Spec) []knob {
	b := s.BlockIO
	if b == nil {
		return nil
	}
	var list []knob
	if w := or(b.Weight, 0); w != 0 {
		list = append(list, weightKnob("blockIO.weight", "", w))
	}
	for _, d := range b.WeightDevice {
		if w := or(d.Weight, 0); w != 0 {
			list = append(list, weightKnob("blockIO.weightDevice", fmt.Sprintf("%d:%d ", d.Major, d.Minor), w))
		}
	}
	if b.LeafWeight != nil {
		list = append(list, knob{controller: IO, field: "blockIO.leafWeight", without: "leaf weights were part of the CFQ scheduler, which left in Linux 5.0"})
	}
	for _, t := range []struct {
		field, v1, v2 string
		devices       []specs.LinuxThrottleDevice
	}{
		{"blockIO.throttleReadBpsDevice", "read_bps", "rbps", b.ThrottleReadBpsDevice},
		{"blockIO.throttleWriteBpsDevice", "write_bps", "wbps", b.ThrottleWriteBpsDevice},
		{"blockIO.throttleReadIOPSDevice", "read_iops", "riops", b.ThrottleReadIOPSDevice},
		{"blockIO.throttleWriteIOPSDevice", "write_iops", "wiops", b.ThrottleWriteIOPSDevice},
	} {
		for _, d := range t.devices {
			list = append(list, throttleKnob(t.field, t.v1, t.v2, d))
		}
	}
	return list
}

func weightKnob(field, device string, weight uint16) knob {
	raw := fmt.Sprintf("%s%d", device, weight)
	suffix := ""
	if device != "" {
		suffix = "_device"
	}
	v1bfq := Setting{File: "blkio.bfq.weight" + suffix, Value: raw}
	v2cost := Setting{File: "io.weight", Value: fmt.Sprintf("%s%d", device, BlkioToIOWeight(weight))}
	return knob{controller: IO, field: field,
		v1:  []Setting{{File: "blkio.weight" + suffix, Value: raw, Else: &v1bfq}},
		v2:  []Setting{{File: "io.bfq.weight", Value: raw, Else: &v2cost}},
		why: "the group's part of a busy disk beside its siblings"}
}

// throttleKnob: rate 0 takes the limit away, which version 2 writes as "max".
func throttleKnob(field, v1, v2 string, d specs.LinuxThrottleDevice) knob {
	rate := strconv.FormatUint(d.Rate, 10)
	v2rate := rate
	if d.Rate == 0 {
		v2rate = "max"
	}
	return knob{controller: IO, field: field,
		v1:  one("blkio.throttle."+v1+"_device", fmt.Sprintf("%d:%d %s", d.Major, d.Minor, rate)),
		v2:  one("io.max", fmt.Sprintf("%d:%d %s=%s", d.Major, d.Minor, v2, v2rate)),
		why: "requests above the rate wait; v1 sees only direct writes and reads, since written-back pages are nobody's"}
}
