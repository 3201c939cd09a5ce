package cgroupdemo

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Spec is what a group shall be limited to: the OCI runtime-spec shape of
// resources, so that a container's config.json can be used as it is. A field
// that is nil or empty is left as the kernel has it.
type Spec struct {
	specs.LinuxResources

	// CPUWeight is version 2's cpu.weight, 1 to 10000, 100 is the kernel's
	// default. The OCI shape only knows v1's shares, whose usual translation
	// does not keep ratios (see [SharesToWeight]); this one does on both versions.
	CPUWeight *uint64 `json:"cpuWeight,omitempty"`
}

// Validate checks everything that can be known without asking the kernel and
// tells all that is wrong at once.
func (s Spec) Validate() error {
	return errors.Join(s.validateCPU(), s.validateMemory(), s.validateIO(), s.validateDevices(), s.validateRest())
}

func (s Spec) validateCPU() error {
	var errs []error
	if w := s.CPUWeight; w != nil {
		errs = append(errs, between("CPUWeight", int64(*w), 1, 10000))
	}
	c := s.CPU
	if c == nil {
		return errors.Join(errs...)
	}
	if s.CPUWeight != nil && c.Shares != nil {
		errs = append(errs, errors.New("cpu.shares and CPUWeight are two ways to say one thing: give one"))
	}
	if c.Shares != nil && *c.Shares != 0 {
		errs = append(errs, between("cpu.shares", int64(*c.Shares), 2, 262144))
	}
	if c.Period != nil && *c.Period != 0 {
		errs = append(errs, between("cpu.period (microseconds)", int64(*c.Period), 1000, 1000000))
	}
	if c.Quota != nil && *c.Quota > 0 && *c.Quota < 1000 {
		errs = append(errs, fmt.Errorf("cpu.quota = %d: want at least 1000 microseconds, or -1 for no limit", *c.Quota))
	}
	if c.Burst != nil && c.Quota != nil && *c.Quota > 0 && *c.Burst > uint64(*c.Quota) {
		errs = append(errs, fmt.Errorf("cpu.burst = %d: want at most the quota, %d", *c.Burst, *c.Quota))
	}
	if c.Idle != nil {
		errs = append(errs, between("cpu.idle", *c.Idle, 0, 1))
	}
	return errors.Join(append(errs, listSyntax("cpu.cpus", c.Cpus), listSyntax("cpu.mems", c.Mems))...)
}

func (s Spec) validateMemory() error {
	m := s.Memory
	if m == nil {
		return nil
	}
	var errs []error
	for name, v := range map[string]*int64{"limit": m.Limit, "reservation": m.Reservation, "swap": m.Swap} {
		if v != nil && *v < -1 {
			errs = append(errs, fmt.Errorf("memory.%s = %d: want bytes, or -1 for no limit", name, *v))
		}
	}
	limit, swap := or(m.Limit, 0), or(m.Swap, 0)
	switch {
	case swap > 0 && limit <= 0:
		errs = append(errs, fmt.Errorf("memory.swap = %d without memory.limit: it is the sum of memory and swap, so the limit is needed", swap))
	case swap > 0 && swap < limit:
		errs = append(errs, fmt.Errorf("memory.swap = %d: it is the sum of memory and swap, so want at least the limit, %d", swap, limit))
	}
	if r := or(m.Reservation, 0); r > 0 && limit > 0 && r > limit {
		errs = append(errs, fmt.Errorf("memory.reservation = %d: want at most the limit, %d", r, limit))
	}
	if m.Swappiness != nil && *m.Swappiness > 100 {
		errs = append(errs, fmt.Errorf("memory.swappiness = %d: want 0 to 100", *m.Swappiness))
	}
	return errors.Join(errs...)
}

func (s Spec) validateIO() error {
	b := s.BlockIO
	if b == nil {
		return nil
	}
	var errs []error
	if w := or(b.Weight, 0); w != 0 {
		errs = append(errs, between("blockIO.weight", int64(w), 10, 1000))
	}
	for _, d := range b.WeightDevice {
		if w := or(d.Weight, 0); w != 0 {
			errs = append(errs, between(fmt.Sprintf("blockIO.weightDevice %d:%d", d.Major, d.Minor), int64(w), 10, 1000))
		}
	}
	for _, list := range [][]specs.LinuxThrottleDevice{b.ThrottleReadBpsDevice, b.ThrottleWriteBpsDevice,
		b.ThrottleReadIOPSDevice, b.ThrottleWriteIOPSDevice} {
		for _, d := range list {
			if d.Major < 0 || d.Minor < 0 {
				errs = append(errs, fmt.Errorf("blockIO throttle for device %d:%d: want a real device's numbers", d.Major, d.Minor))
			}
		}
	}
	return errors.Join(errs...)
}

func (s Spec) validateDevices() error {
	var errs []error
	for i, d := range s.Devices {
		if !slices.Contains([]string{"", "a", "b", "c", "u", "p"}, d.Type) {
			errs = append(errs, fmt.Errorf("devices[%d].type = %q: want a (all), b (block) or c (character)", i, d.Type))
		}
		if strings.Trim(d.Access, "rwm") != "" {
			errs = append(errs, fmt.Errorf("devices[%d].access = %q: want letters of rwm (read, write, mknod)", i, d.Access))
		}
		if or(d.Major, -1) < -1 || or(d.Minor, -1) < -1 {
			errs = append(errs, fmt.Errorf("devices[%d]: device %d:%d: want numbers, or -1 for any", i, or(d.Major, -1), or(d.Minor, -1)))
		}
	}
	return errors.Join(errs...)
}

// The three forms below are read without package regexp: a container's init stage
// waits for what this package imports to be initialised.

// isPageSize: "2MB", a number without a leading zero and a unit.
func isPageSize(s string) bool {
	number, ok := strings.CutSuffix(s, "B")
	if !ok || number == "" || !strings.ContainsRune("KMG", rune(number[len(number)-1])) {
		return false
	}
	number = number[:len(number)-1]
	return only(number, digits) && number[0] != '0'
}

// isUnifiedKey: "memory.high", a controller and the rest of a file's name.
func isUnifiedKey(s string) bool {
	parts := strings.Split(s, ".")
	for _, part := range parts[1:] {
		if !only(part, digits+lower+strings.ToUpper(lower)+"_") {
			return false
		}
	}
	return len(parts) > 1 && only(parts[0], lower+"_")
}

// isCPUList: "0-3,7".
func isCPUList(s string) bool {
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !only(from, digits) || isRange && !only(to, digits) {
			return false
		}
	}
	return true
}

const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
)

// only: s has letters of the alphabet, and no others.
func only(s, alphabet string) bool { return s != "" && strings.Trim(s, alphabet) == "" }

func (s Spec) validateRest() error {
	var errs []error
	if s.Pids != nil && or(s.Pids.Limit, 0) < -1 {
		errs = append(errs, fmt.Errorf("pids.limit = %d: want a number, or -1 for no limit", *s.Pids.Limit))
	}
	for _, h := range s.HugepageLimits {
		if !isPageSize(h.Pagesize) {
			errs = append(errs, fmt.Errorf("hugepageLimits page size %q: want a form such as 2MB or 1GB", h.Pagesize))
		}
	}
	for device := range s.Rdma {
		if device == "" || strings.ContainsAny(device, " \n") {
			errs = append(errs, fmt.Errorf("rdma device %q: want a device name", device))
		}
	}
	// The key becomes a file name: a slash in it would leave the group's folder.
	for key := range s.Unified {
		if !isUnifiedKey(key) {
			errs = append(errs, fmt.Errorf("unified key %q: want a control file's name, such as memory.high", key))
		}
	}
	return errors.Join(errs...)
}

func between(name string, v, low, high int64) error {
	if v < low || v > high {
		return fmt.Errorf("%s = %d: want %d to %d", name, v, low, high)
	}
	return nil
}

func listSyntax(name, list string) error {
	if list != "" && !isCPUList(list) {
		return fmt.Errorf("%s = %q: want a list such as 0-2,5", name, list)
	}
	return nil
}

// or is the value behind p, or the fallback.
func or[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}
