package oci

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/moby/sys/capability"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// capabilities are the five sets as bit masks, capability number = bit number.
type capabilities struct {
	bounding, effective, inheritable, permitted, ambient uint64
}

// planCapabilities turns names into masks. A name that this runtime does not
// know is left out, as runc does: profiles list capabilities of newer kernels.
func planCapabilities(c *specs.LinuxCapabilities) (capabilities, error) {
	if c == nil {
		return capabilities{}, nil // no object: none at all
	}
	out := capabilities{
		bounding:    capMask(c.Bounding),
		effective:   capMask(c.Effective),
		inheritable: capMask(c.Inheritable),
		permitted:   capMask(c.Permitted),
		ambient:     capMask(c.Ambient),
	}
	return out, nil
}

func capMask(names []string) uint64 {
	var mask uint64
	for _, c := range capability.ListKnown() {
		for _, name := range names {
			if strings.EqualFold(name, capName(c)) {
				mask |= 1 << uint(c)
			}
		}
	}
	return mask
}

// capName is the manual page's name, such as CAP_NET_RAW.
func capName(c capability.Cap) string { return "CAP_" + strings.ToUpper(c.String()) }

// dropBounding takes away for good what the bounding set does not have
// (prctl(2), PR_CAPBSET_DROP). It needs CAP_SETPCAP, so it precedes the change of user.
func (c capabilities) dropBounding() error {
	last, err := capability.LastCap()
	if err != nil {
		return fmt.Errorf("read the kernel's last capability: %w", err)
	}
	for i := range uint(last) + 1 {
		if c.bounding&(1<<i) != 0 {
			continue
		}
		if err := prctl(unix.PR_CAPBSET_DROP, uintptr(i)); err != nil {
			return fmt.Errorf("prctl PR_CAPBSET_DROP %s: %w", capability.Cap(i), err)
		}
	}
	return nil
}

// apply sets the other four (capset(2), PR_CAP_AMBIENT). Ambient comes last: a
// capability can only be raised there when it is permitted and inheritable.
func (c capabilities) apply() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(c.effective), Permitted: uint32(c.permitted), Inheritable: uint32(c.inheritable)},
		{Effective: uint32(c.effective >> 32), Permitted: uint32(c.permitted >> 32), Inheritable: uint32(c.inheritable >> 32)},
	}
	_, _, errno := unix.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return fmt.Errorf("capset effective=%#x permitted=%#x inheritable=%#x: %w", c.effective, c.permitted, c.inheritable, errno)
	}
	return c.raiseAmbient()
}

// raiseAmbient raises what it can. One that is not permitted and inheritable is
// left out without an error, as in runc.
func (c capabilities) raiseAmbient() error {
	if err := prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL); err != nil {
		return fmt.Errorf("prctl PR_CAP_AMBIENT_CLEAR_ALL: %w", err)
	}
	for i := range uint(64) {
		if c.ambient&c.permitted&c.inheritable&(1<<i) == 0 {
			continue
		}
		if err := prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(i)); err != nil {
			return fmt.Errorf("prctl PR_CAP_AMBIENT_RAISE %s: %w", capability.Cap(i), err)
		}
	}
	return nil
}

// prctl calls prctl(2) for this thread alone; unused arguments must be zero.
func prctl(op int, args ...uintptr) error {
	var a [4]uintptr
	copy(a[:], args)
	if _, _, errno := unix.RawSyscall6(unix.SYS_PRCTL, uintptr(op), a[0], a[1], a[2], a[3], 0); errno != 0 {
		return errno
	}
	return nil
}
