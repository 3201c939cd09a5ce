package inside

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Join names the namespaces of a running process to enter, as setns(2) with a
// pidfd does (Linux 5.8 and up): all at once or none.
type Join struct {
	Pid   int
	Kinds []string // names as in /proc/PID/ns: mnt uts ipc pid net user cgroup time
}

var cloneFlag = map[string]int{
	"mnt": unix.CLONE_NEWNS, "uts": unix.CLONE_NEWUTS, "ipc": unix.CLONE_NEWIPC,
	"pid": unix.CLONE_NEWPID, "net": unix.CLONE_NEWNET, "user": unix.CLONE_NEWUSER,
	"cgroup": unix.CLONE_NEWCGROUP, "time": unix.CLONE_NEWTIME,
}

// flags leaves the user namespace out where it is the caller's own already:
// entering it anew would hand back dropped capabilities, so the kernel answers EINVAL.
func (j *Join) flags() (int, error) {
	flags := 0
	for _, kind := range j.Kinds {
		flag, known := cloneFlag[kind]
		if !known {
			return 0, fmt.Errorf("join namespace %q: no such kind; want mnt, uts, ipc, pid, net, user, cgroup or time", kind)
		}
		if kind == "user" && sameUser(j.Pid) {
			continue
		}
		flags |= flag
	}
	return flags, nil
}

func sameUser(pid int) bool {
	own, err1 := os.Readlink("/proc/self/ns/user")
	theirs, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", pid))
	return err1 == nil && err2 == nil && own == theirs
}
