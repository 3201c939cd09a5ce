package cgroupdemo

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// DeviceTable is a list of device rules brought into the form that the v1
// kernel keeps: one default, and exceptions from it. The v2 program is made
// from the same table, so both versions answer alike.
type DeviceTable struct {
	DefaultAllow bool
	Except       []DeviceException
}

// DeviceException names devices for which the opposite of the default holds.
type DeviceException struct {
	Type         byte  // 'b' or 'c'
	Major, Minor int64 // -1: any
	Access       string
}

// NewDeviceTable plays the rules in order, as if each were written to
// devices.allow or devices.deny of a fresh group, which allows everything.
// A rule for type "a" (or none) resets the whole table, as in the kernel.
func NewDeviceTable(rules []specs.LinuxDeviceCgroup) DeviceTable {
	t := DeviceTable{DefaultAllow: true}
	for _, r := range rules {
		if r.Type == "" || r.Type == "a" {
			t = DeviceTable{DefaultAllow: r.Allow}
			continue
		}
		e := DeviceException{deviceType(r.Type), or(r.Major, -1), or(r.Minor, -1), accessOf(r.Access)}
		if r.Allow == t.DefaultAllow {
			t.remove(e)
		} else {
			t.insert(e)
		}
	}
	return t
}

// insert widens the exception for the same device, or adds one.
func (t *DeviceTable) insert(e DeviceException) {
	for i, have := range t.Except {
		if have.same(e) {
			t.Except[i].Access = accessOf(have.Access + e.Access)
			return
		}
	}
	t.Except = append(t.Except, e)
}

// remove narrows the exception for exactly that device. A rule for one minor
// number does not narrow an exception for all of them: the kernel compares
// numbers, wildcards included, and so do we.
func (t *DeviceTable) remove(e DeviceException) {
	for i, have := range t.Except {
		if have.same(e) {
			t.Except[i].Access = strings.Map(func(r rune) rune {
				if strings.ContainsRune(e.Access, r) {
					return -1 // drop the letter
				}
				return r
			}, have.Access)
		}
	}
	t.Except = slices.DeleteFunc(t.Except, func(e DeviceException) bool { return e.Access == "" })
}

func (e DeviceException) same(o DeviceException) bool {
	return e.Type == o.Type && e.Major == o.Major && e.Minor == o.Minor
}

// Allows answers as the kernel would: with a default of no, one exception has
// to grant all that is asked for; with a default of yes, one that touches any
// of it forbids. access is made of r, w and m.
func (t DeviceTable) Allows(kind byte, major, minor int64, access string) bool {
	for _, e := range t.Except {
		if e.Type != kind || e.Major >= 0 && e.Major != major || e.Minor >= 0 && e.Minor != minor {
			continue
		}
		if t.DefaultAllow && strings.ContainsAny(access, e.Access) {
			return false
		}
		if !t.DefaultAllow && strings.Trim(access, e.Access) == "" {
			return true
		}
	}
	return t.DefaultAllow
}

// v1 is the table as writes. "a" goes first and forgets all older exceptions;
// it is refused (EINVAL) while the group has children.
func (t DeviceTable) v1() []Setting {
	reset, file := "devices.deny", "devices.allow"
	if t.DefaultAllow {
		reset, file = "devices.allow", "devices.deny"
	}
	list := one(reset, "a")
	for _, e := range t.Except {
		list = append(list, Setting{File: file, Value: e.String()})
	}
	return list
}

// String is the kernel's form of a rule, such as "c 1:3 rwm" or "b 8:* r".
func (e DeviceException) String() string {
	num := func(n int64) string {
		if n < 0 {
			return "*"
		}
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%c %s:%s %s", e.Type, num(e.Major), num(e.Minor), e.Access)
}

// String puts the whole table on one line.
func (t DeviceTable) String() string {
	first, verb := "deny all", "allow"
	if t.DefaultAllow {
		first, verb = "allow all", "deny"
	}
	part := []string{first}
	for _, e := range t.Except {
		part = append(part, verb+" "+e.String())
	}
	return strings.Join(part, "; ")
}

// deviceType: mknod's u is another word for c; only b and c reach the kernel's table.
func deviceType(s string) byte {
	if s == "b" {
		return 'b'
	}
	return 'c'
}

// accessOf puts the letters into the order rwm, each once; none means all.
func accessOf(s string) string {
	var b strings.Builder
	for _, r := range "rwm" {
		if s == "" || strings.ContainsRune(s, r) {
			b.WriteRune(r)
		}
	}
	return b.String()
}
