package cgroupdemo

import (
	"math"
	"strconv"
)

// SharesToWeight turns v1 cpu.shares (2 to 262144, default 1024) into v2
// cpu.weight (1 to 10000, default 100) the way runc (since 1.4) and crun do: a
// curve through the two ends and through the defaults. It does not keep ratios:
// 2048 becomes 174, not 200. Older runc drew a straight line between the ends,
// which made 1024 a weight of 39. Zero (not set) stays zero.
func SharesToWeight(shares uint64) uint64 {
	switch {
	case shares == 0:
		return 0
	case shares <= 2:
		return 1
	case shares >= 262144:
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// WeightToShares is the kernel's own rule for what a v2 weight is inside the
// scheduler (kernel/sched/core.c: weight * 1024 / 100, rounded), held within
// v1's range. It keeps ratios.
func WeightToShares(weight uint64) uint64 {
	return min(max((weight*1024+50)/100, 2), 262144)
}

// BlkioToIOWeight maps v1's 10..1000 to v2's io.weight 1..10000 in a straight
// line, as runc does. Zero (not set) stays zero.
func BlkioToIOWeight(weight uint16) uint64 {
	if weight == 0 {
		return 0
	}
	return 1 + (uint64(max(weight, 10))-10)*9999/990
}

// SwapToV2 takes the memory limit off v1's sum of memory and swap. -1 is "max".
func SwapToV2(limit, sum int64) string {
	if sum < 0 {
		return "max"
	}
	return strconv.FormatInt(max(sum-max(limit, 0), 0), 10)
}
