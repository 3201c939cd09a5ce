package nsdemo

import (
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Kind is one of the eight kinds of namespace, by its name in /proc/PID/ns.
type Kind string

// The kinds, in the order in which Linux got them.
const (
	Mnt    Kind = "mnt"
	UTS    Kind = "uts"
	IPC    Kind = "ipc"
	PID    Kind = "pid"
	Net    Kind = "net"
	User   Kind = "user"
	Cgroup Kind = "cgroup"
	Time   Kind = "time"
)

// kindFact is a row of the table of kinds.
type kindFact struct {
	kind    Kind
	flag    uintptr
	name    string
	man     string
	since   string
	isolate string
	docker  bool
	limit   string
}

var kindFacts = []kindFact{
	{Mnt, unix.CLONE_NEWNS, "CLONE_NEWNS", "mount_namespaces(7)", "2.4.19", "the table of mounts", true, "max_mnt_namespaces"},
	{UTS, unix.CLONE_NEWUTS, "CLONE_NEWUTS", "uts_namespaces(7)", "2.6.19", "hostname and NIS domain name", true, "max_uts_namespaces"},
	{IPC, unix.CLONE_NEWIPC, "CLONE_NEWIPC", "ipc_namespaces(7)", "2.6.19", "System V IPC objects and POSIX message queues", true, "max_ipc_namespaces"},
	{PID, unix.CLONE_NEWPID, "CLONE_NEWPID", "pid_namespaces(7)", "2.6.24", "process ids", true, "max_pid_namespaces"},
	{Net, unix.CLONE_NEWNET, "CLONE_NEWNET", "network_namespaces(7)", "2.6.29", "devices, addresses, routes, ports, firewall", true, "max_net_namespaces"},
	{User, unix.CLONE_NEWUSER, "CLONE_NEWUSER", "user_namespaces(7)", "3.8", "user and group ids, capabilities", false, "max_user_namespaces"},
	{Cgroup, unix.CLONE_NEWCGROUP, "CLONE_NEWCGROUP", "cgroup_namespaces(7)", "4.6", "the root of the cgroup paths that are shown", true, "max_cgroup_namespaces"},
	{Time, unix.CLONE_NEWTIME, "CLONE_NEWTIME", "time_namespaces(7)", "5.6", "offsets of the monotonic and boot clocks", false, "max_time_namespaces"},
}

// Kinds lists all eight.
func Kinds() []Kind {
	return kindsWhere(func(kindFact) bool { return true })
}

// DockerKinds lists those that Docker makes for a container by default: six,
// counting cgroup, which it makes on cgroup v2 hosts. It leaves user (but for
// userns-remap and rootless mode) and time alone.
func DockerKinds() []Kind {
	return kindsWhere(func(f kindFact) bool { return f.docker })
}

func kindsWhere(keep func(kindFact) bool) []Kind {
	var list []Kind
	for _, f := range kindFacts {
		if keep(f) {
			list = append(list, f.kind)
		}
	}
	return list
}

func (k Kind) fact() kindFact {
	for _, f := range kindFacts {
		if f.kind == k {
			return f
		}
	}
	return kindFact{kind: k}
}

// ParseKind finds a kind by its name in /proc/PID/ns, or by a name that people
// use: mount, network.
func ParseKind(name string) (Kind, error) {
	switch name {
	case "mount":
		return Mnt, nil
	case "network":
		return Net, nil
	}
	if k := Kind(name); k.Known() {
		return k, nil
	}
	return "", fmt.Errorf("namespace kind %q: unknown; want one of %v", name, Kinds())
}

// Known tells whether k is one of the eight.
func (k Kind) Known() bool { return k.fact().flag != 0 }

// Flag is the bit for clone(2), unshare(2) and setns(2).
func (k Kind) Flag() uintptr { return k.fact().flag }

// FlagName is the flag as C programs write it.
func (k Kind) FlagName() string { return k.fact().name }

// ManPage names the manual page that tells all about this kind.
func (k Kind) ManPage() string { return k.fact().man }

// Since is the Linux version that brought this kind.
func (k Kind) Since() string { return k.fact().since }

// Isolates says in a few words what each namespace of this kind has its own of.
func (k Kind) Isolates() string { return k.fact().isolate }

// MadeByDocker tells whether Docker makes one for every container by default.
func (k Kind) MadeByDocker() bool { return k.fact().docker }

// LimitFile is the file with the greatest number of such namespaces per user.
func (k Kind) LimitFile(procRoot string) string {
	return filepath.Join(procRoot, "sys/user", k.fact().limit)
}

// File is the link that names the namespace of a process: procRoot/PID/ns/KIND.
func (k Kind) File(procRoot string, pid int) string {
	return filepath.Join(procRoot, strconv.Itoa(pid), "ns", string(k))
}

// ChildrenFile is the link for what the children of a process get. It differs
// from File for pid and time only, and only after unshare(2) or setns(2).
func (k Kind) ChildrenFile(procRoot string, pid int) string {
	if k == PID || k == Time {
		return k.File(procRoot, pid) + "_for_children"
	}
	return k.File(procRoot, pid)
}
