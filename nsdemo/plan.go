package nsdemo

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Plan turns a valid spec into what clone(2) and execve(2) by Go's os package
// take. maker is the user who will make the namespaces. Nothing is done yet.
//
// CLONE_NEWTIME is 0x80, a bit that clone(2) uses for the exit signal: Go takes
// clone3(2) for it, and a seccomp profile that refuses clone3 refuses it too.
func Plan(s Spec, maker UserID) (*syscall.SysProcAttr, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("namespaces %v: %w", s.Kinds, err)
	}
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	for _, k := range s.Kinds {
		attr.Cloneflags |= k.Flag()
	}
	if s.CgroupDir != "" { // made later by unshare(2), from within the folder
		attr.Cloneflags &^= unix.CLONE_NEWCGROUP
	}
	if !s.Has(User) {
		return attr, nil
	}
	attr.UidMappings = idMappings(s.UIDMap, maker.UID)
	attr.GidMappings = idMappings(s.GIDMap, maker.GID)
	attr.GidMappingsEnableSetgroups = s.Setgroups
	if mapsRoot(attr.UidMappings) && mapsRoot(attr.GidMappings) {
		// Whoever makes the namespace may not be mapped himself; as the inner
		// root he keeps his capabilities through execve(2).
		attr.Credential = &syscall.Credential{NoSetGroups: !s.Setgroups}
	}
	return attr, nil
}

// idMappings gives the map of one line that an ordinary user may write: himself,
// as root. Nobody else's id may be in it without CAP_SETUID outside.
func idMappings(lines []IDMap, own int) []syscall.SysProcIDMap {
	if len(lines) == 0 {
		lines = []IDMap{{Inside: 0, Outside: own, Count: 1}}
	}
	var list []syscall.SysProcIDMap
	for _, l := range lines {
		list = append(list, syscall.SysProcIDMap{ContainerID: l.Inside, HostID: l.Outside, Size: l.Count})
	}
	return list
}

func mapsRoot(lines []syscall.SysProcIDMap) bool {
	for _, l := range lines {
		if l.ContainerID == 0 {
			return true
		}
	}
	return false
}

// Text is what to write to /proc/PID/timens_offsets: a line per clock, in
// seconds and nanoseconds, where the nanoseconds are never negative.
func (o Offsets) Text() string {
	var text strings.Builder
	for _, c := range []struct {
		name   string
		offset time.Duration
	}{{"monotonic", o.Monotonic}, {"boottime", o.Boottime}} {
		sec, nsec := c.offset/time.Second, c.offset%time.Second
		if nsec < 0 {
			sec, nsec = sec-1, nsec+time.Second
		}
		if c.offset != 0 {
			fmt.Fprintf(&text, "%s %d %d\n", c.name, int64(sec), int64(nsec))
		}
	}
	return text.String()
}

// Propagation is what happens to mounts made below a mount whose copies are in
// other mount namespaces (mount_namespaces(7), sharedsubtree.rst).
type Propagation string

// The four types, and the wish to leave them as the copy got them.
const (
	Private    Propagation = "private"    // nothing in, nothing out
	Shared     Propagation = "shared"     // both ways, within the peer group
	Slave      Propagation = "slave"      // in, but not out
	Unbindable Propagation = "unbindable" // private, and no source of bind mounts
	Unchanged  Propagation = "unchanged"
)

// flag gives the flag for mount(2) that sets the type.
func (p Propagation) flag() uintptr {
	switch p {
	case Private:
		return unix.MS_PRIVATE
	case Shared:
		return unix.MS_SHARED
	case Slave:
		return unix.MS_SLAVE
	case Unbindable:
		return unix.MS_UNBINDABLE
	}
	return 0
}

// FlagName is the flag as C programs write it.
func (p Propagation) FlagName() string {
	if p.flag() == 0 {
		return ""
	}
	return "MS_" + strings.ToUpper(string(p))
}

func (p Propagation) check() error {
	if p == "" || p == Unchanged || p.flag() != 0 {
		return nil
	}
	return fmt.Errorf("propagation %q: unknown; want private, shared, slave, unbindable or unchanged", p)
}
