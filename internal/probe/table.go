package probe

// ID names a probe for scripts and labs: dotted, lower case, stable.
type ID string

// Privilege is the least a live probe needs to give an answer.
type Privilege string

const (
	AnyUser   Privilege = "U" // any user
	Namespace Privilege = "N" // root, or any user inside a user namespace of their own
	Root      Privilege = "R" // root of the machine
)

// A Probe is one row of the table: what to ask, and what to tell a person
// about the answer. Texts are English constants; they are the keys of the
// translation catalogue.
type Probe struct {
	ID        ID
	Group     string
	Title     string
	Since     string    // first kernel release, "" when older than anyone runs
	Symbols   []string  // CONFIG names, all wanted; "A|B" accepts either
	Modules   []string  // modules that the live probe could make the kernel load
	File      string    // file whose presence is proof, or "file word" for a field in it
	Effect    string    // what fails without it
	Fix       string    // one line to paste
	Privilege Privilege //
	Live      string    // function that asks the kernel, and its argument
	place     place     // where that function runs
	built     bool      // built in but not in the list of active ones means off, not no
}

// The groups, in the order they are shown in.
const (
	groupNamespaces = "namespaces"
	groupProcess    = "process interface"
	groupMount      = "mount interface"
	groupCgroup     = "cgroups"
	groupCgroupV1   = "cgroup v1 controllers"
	groupCgroupV2   = "cgroup v2 controllers"
	groupFS         = "file systems"
	groupOverlay    = "overlayfs"
	groupState      = "the state folder"
	groupDevice     = "device drivers"
	groupLink       = "network devices"
	groupFilter     = "packet filter"
	groupSecurity   = "security"
)

// Fixes that many rows share.
const (
	fixKernel  = "cutaway lab --on vm NUMBER   # runs that lab on a virtual machine's kernel; to stay: a newer distribution kernel"
	fixModules = "apt-get install linux-modules-extra-$(uname -r)   # Ubuntu; elsewhere a kernel with this option; or: cutaway lab --on vm NUMBER"
	fixUnified = "cutaway lab --on vm NUMBER   # a virtual machine with cgroup v2; to stay: add systemd.unified_cgroup_hierarchy=1 to GRUB_CMDLINE_LINUX in /etc/default/grub, update-grub, reboot"
	fixLimit   = "sysctl -a --pattern 'user.max_.*_namespaces'   # raise the one that is used up with sysctl -w"
	fixRoot    = "sudo cutaway check   # the kernel could not be asked without more privilege"
)

// All returns the table, in the order it is shown in.
func All() []Probe {
	var table []Probe
	for _, part := range [][]Probe{
		namespaceRows(), processRows(), mountRows(), cgroupRows(), cgroupV1Rows(), cgroupV2Rows(),
		filesystemRows(), overlayRows(), stateRows(), deviceRows(), linkRows(), filterRows(), securityRows(),
	} {
		table = append(table, part...)
	}
	return table
}

// Find returns the row with that id.
func Find(id ID) (Probe, bool) {
	for _, p := range All() {
		if p.ID == id {
			return p, true
		}
	}
	return Probe{}, false
}

// rows fills in what all rows of a group have in common where the row does
// not say otherwise.
func rows(group string, at place, list []Probe) []Probe {
	for i := range list {
		p := &list[i]
		p.Group = group
		if p.place == "" {
			p.place = at
		}
		if p.Privilege == "" {
			p.Privilege = Namespace
		}
		if p.Fix == "" {
			p.Fix = fixKernel
		}
	}
	return list
}
