package probe

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A place is the kind of throwaway child that a live probe runs in. Probes
// that can share a child do: starting one costs some milliseconds, and there
// are more than a hundred rows. What a probe unshares on top of that, it
// unshares in a thread of its own, which then dies.
type place string

const (
	plain    place = "plain"    // as the caller is
	owner    place = "owner"    // with CAP_SYS_ADMIN: the caller's, or in a user namespace
	clock    place = "clock"    // as owner, for the one probe that spoils the main thread
	mounts   place = "mounts"   // owner of a mount namespace, tmpfs on an existing folder
	network  place = "network"  // owner of a mount and a net namespace
	nested   place = "nested"   // always in a user namespace: what rootless containers get
	stranger place = "stranger" // uid 65534: what would an ordinary user be allowed?
)

// nobody is the uid of the ordinary user that root pretends to be.
const nobody = 65534

// caller is who asks, as far as it decides how a child must be started.
type caller struct {
	uid, gid   int
	privileged bool // has CAP_SYS_ADMIN in the user namespace it is in
}

// userns tells whether a child in this place has to enter a user namespace.
// It is the capability that counts and not the uid: root inside most
// containers has no CAP_SYS_ADMIN.
func (p place) userns(c caller) bool {
	switch p {
	case nested:
		return true
	case owner, clock, mounts, network:
		return !c.privileged
	}
	return false
}

// flags returns the clone(2) flags of a child in this place.
func (p place) flags(c caller) uintptr {
	var f uintptr
	switch p {
	case mounts:
		f = unix.CLONE_NEWNS
	case network:
		f = unix.CLONE_NEWNS | unix.CLONE_NEWNET
	case nested:
		f = unix.CLONE_NEWNS | unix.CLONE_NEWPID
	}
	if p.userns(c) {
		f |= unix.CLONE_NEWUSER
	}
	return f
}

// attr returns how to start a child in this place.
func (p place) attr(c caller) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: p.flags(c), Pdeathsig: syscall.SIGKILL}
	if p.userns(c) {
		// One line each, our own id: the only map that needs no privilege.
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: c.uid, Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: c.gid, Size: 1}}
	}
	if p == stranger && c.uid == 0 && c.privileged {
		a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return a
}

// inUserns tells from the content of /proc/self/uid_map whether the process is
// in a user namespace already: only the first one maps all ids to themselves.
func inUserns(uidMap string) bool {
	f := strings.Fields(uidMap)
	return !(len(f) == 3 && f[0] == "0" && f[1] == "0" && f[2] == "4294967295")
}

// self names this program for exec(2), whatever its path has become.
const self = "/proc/self/exe"

// currentCaller looks at the process that it is called in.
func currentCaller() caller {
	status, _ := os.ReadFile("/proc/self/status")
	return caller{
		uid:        os.Geteuid(),
		gid:        os.Getegid(),
		privileged: hasCap(statusField(string(status), "CapEff"), unix.CAP_SYS_ADMIN),
	}
}
