package nsdemo

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// The inodes of the first namespaces are the same on every machine
// (include/linux/proc_ns.h), for the kinds that the kernel starts with.
var initialInodes = sync.OnceValue(func() map[Kind]uint64 {
	return map[Kind]uint64{
		IPC: 0xEFFFFFFF, UTS: 0xEFFFFFFE, User: 0xEFFFFFFD, PID: 0xEFFFFFFC, Cgroup: 0xEFFFFFFB, Time: 0xEFFFFFFA,
	}
})

// IsInitial tells whether an inode is that of the namespace the kernel booted
// with. For mnt and net, whose numbers are not fixed, it is always false.
func (k Kind) IsInitial(inode uint64) bool {
	known, fixed := initialInodes()[k]
	return fixed && known == inode
}

// ID reads the link procRoot/PID/ns/KIND: the inode that is a namespace's only
// identity (namespaces(7)). Reading another user's needs CAP_SYS_PTRACE.
func ID(procRoot string, pid int, k Kind) (uint64, error) {
	return readLink(k.File(procRoot, pid), k)
}

// IDs reads all links of procRoot/PID/ns. A kind that this kernel does not have
// is not in the map.
func IDs(procRoot string, pid int) (map[Kind]uint64, error) {
	ids := map[Kind]uint64{}
	for _, k := range Kinds() {
		id, err := ID(procRoot, pid, k)
		if os.IsNotExist(err) && processExists(procRoot, pid) {
			continue
		}
		if err != nil {
			return nil, err
		}
		ids[k] = id
	}
	return ids, nil
}

// ChildrenID reads what the children of a process will be in: pid_for_children
// and time_for_children.
func ChildrenID(procRoot string, pid int, k Kind) (uint64, error) {
	return readLink(k.ChildrenFile(procRoot, pid), k)
}

// Differing lists the kinds whose inodes differ, in the order of Kinds.
func Differing(a, b map[Kind]uint64) []Kind {
	return kindsWhere(func(f kindFact) bool { return a[f.kind] != b[f.kind] })
}

func processExists(procRoot string, pid int) bool {
	_, err := os.Stat(fmt.Sprintf("%s/%d/ns", procRoot, pid))
	return err == nil
}

func readLink(path string, k Kind) (uint64, error) {
	link, err := os.Readlink(path)
	if err != nil {
		return 0, err
	}
	kind, inode, err := ParseLink(link)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	if kind != k {
		return 0, fmt.Errorf("%s names a namespace of kind %q; want %q", path, kind, k)
	}
	return inode, nil
}

// ParseLink takes "mnt:[4026531832]" apart.
func ParseLink(link string) (Kind, uint64, error) {
	name, rest, found := strings.Cut(link, ":[")
	digits, closed := strings.CutSuffix(rest, "]")
	inode, err := strconv.ParseUint(digits, 10, 64)
	if !found || !closed || err != nil || !Kind(name).Known() {
		return "", 0, fmt.Errorf("namespace link %q: want kind:[inode]", link)
	}
	return Kind(name), inode, nil
}
