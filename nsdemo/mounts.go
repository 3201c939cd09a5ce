package nsdemo

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// Mount is a line of a mount table.
type Mount = mountinfo.Info

// Mounts reads procRoot/PID/mountinfo: the mount table of a process as it sees
// it, with paths from its root (proc_pid_mountinfo(5)).
func Mounts(procRoot string, pid int) ([]*Mount, error) {
	path := filepath.Join(procRoot, strconv.Itoa(pid), "mountinfo")
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := mountinfo.GetMountsFromReader(f, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// MountAt gives the mount that is seen at a mount point, or nil. Of several at
// one place the last covers the others.
func MountAt(list []*Mount, dir string) *Mount {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Mountpoint == dir {
			return list[i]
		}
	}
	return nil
}

// PropagationOf reads the optional fields of a mount table line: shared:N,
// master:N, unbindable; none of them means private. A mount can be shared and a
// slave at once, and then passes on what it gets; it counts as shared here.
func PropagationOf(m *Mount) Propagation {
	result := Private
	for _, field := range strings.Fields(m.Optional) {
		switch name, _, _ := strings.Cut(field, ":"); name {
		case "shared":
			return Shared
		case "master":
			result = Slave
		case "unbindable":
			result = Unbindable
		}
	}
	return result
}
