package oci

import (
	"fmt"
	"strings"
	"sync"

	"github.com/moby/sys/capability"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/script"
)

// capabilities are the five sets as bit masks, capability number = bit number.
type capabilities struct {
	bounding, effective, inheritable, permitted, ambient uint64

	last uint // the highest one that the kernel knows
}

// planCapabilities turns names into masks. A name that this runtime does not
// know is left out, as runc does: profiles list capabilities of newer kernels.
func planCapabilities(c *specs.LinuxCapabilities) (capabilities, error) {
	last, err := capability.LastCap()
	if err != nil {
		return capabilities{}, fmt.Errorf("read the kernel's last capability: %w", err)
	}
	if c == nil {
		return capabilities{last: uint(last)}, nil // no object: none at all
	}
	out := capabilities{
		last:        uint(last),
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
	for _, name := range names {
		if c, known := capNumbers()[strings.ToUpper(name)]; known {
			mask |= 1 << uint(c)
		}
	}
	return mask
}

// capNumbers finds a capability by its name.
var capNumbers = sync.OnceValue(func() map[string]capability.Cap {
	numbers := map[string]capability.Cap{}
	for _, c := range capability.ListKnown() {
		numbers[capName(c)] = c
	}
	return numbers
})

// capName is the manual page's name, such as CAP_NET_RAW.
func capName(c capability.Cap) string { return "CAP_" + strings.ToUpper(c.String()) }

// dropBounding takes away for good what the bounding set does not have
// (prctl(2), PR_CAPBSET_DROP). It needs CAP_SETPCAP, so it precedes the change of user.
func (c capabilities) dropBounding(s *script.Script) {
	for i := range c.last + 1 {
		if c.bounding&(1<<i) == 0 {
			prctl(s, "prctl PR_CAPBSET_DROP "+capability.Cap(i).String(), unix.PR_CAPBSET_DROP, i)
		}
	}
}

// apply sets the other four (capset(2), PR_CAP_AMBIENT). Ambient comes last: a
// capability can only be raised there when it is permitted and inheritable.
func (c capabilities) apply(s *script.Script) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(c.effective), Permitted: uint32(c.permitted), Inheritable: uint32(c.inheritable)},
		{Effective: uint32(c.effective >> 32), Permitted: uint32(c.permitted >> 32), Inheritable: uint32(c.inheritable >> 32)},
	}
	name := fmt.Sprintf("capset effective=%#x permitted=%#x inheritable=%#x", c.effective, c.permitted, c.inheritable)
	s.Call(name, unix.SYS_CAPSET, s.Bytes(bytesOf(&header)), s.Bytes(bytesOf(&data)))
	c.raiseAmbient(s)
}

// raiseAmbient raises what it can. One that is not permitted and inheritable is
// left out without an error, as in runc.
func (c capabilities) raiseAmbient(s *script.Script) {
	prctl(s, "prctl PR_CAP_AMBIENT_CLEAR_ALL", unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL)
	for i := range uint(64) {
		if c.ambient&c.permitted&c.inheritable&(1<<i) != 0 {
			prctl(s, "prctl PR_CAP_AMBIENT_RAISE "+capability.Cap(i).String(), unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, i)
		}
	}
}

// prctl adds a prctl(2); unused arguments are zero, as the kernel wants them.
func prctl(s *script.Script, name string, op int, args ...uint) {
	words := []script.Arg{script.Int(op)}
	for _, a := range args {
		words = append(words, script.Int(a))
	}
	s.Call(name, unix.SYS_PRCTL, words...)
}
