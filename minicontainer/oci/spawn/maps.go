package spawn

import (
	"fmt"
	"os"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// writeMaps gives the new user namespace its ids by writing /proc/PID/uid_map
// and gid_map (user_namespaces(7)). Each file can be written once.
func writeMaps(pid int, p Process) error {
	if p.DenyGroups {
		if err := writeProc(pid, "setgroups", "deny"); err != nil {
			return err
		}
	}
	if err := writeProc(pid, "gid_map", FormatMap(p.GIDs)); err != nil {
		return err
	}
	return writeProc(pid, "uid_map", FormatMap(p.UIDs))
}

// FormatMap gives the lines of uid_map: id inside, id outside, how many.
func FormatMap(ids []specs.LinuxIDMapping) string {
	var b strings.Builder
	for _, m := range ids {
		fmt.Fprintf(&b, "%d %d %d\n", m.ContainerID, m.HostID, m.Size)
	}
	return b.String()
}

func writeProc(pid int, name, text string) error {
	if text == "" {
		return nil
	}
	path := fmt.Sprintf("/proc/%d/%s", pid, name)
	if err := os.WriteFile(path, []byte(text), 0); err != nil {
		return fmt.Errorf("%w (writing %q)", err, text)
	}
	return nil
}

// flagNames lists the clone flags in the order of their bits.
var flagNames = []struct {
	flag uintptr
	name string
}{
	{unix.CLONE_NEWTIME, "CLONE_NEWTIME"},
	{unix.CLONE_NEWNS, "CLONE_NEWNS"},
	{unix.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"},
	{unix.CLONE_NEWUTS, "CLONE_NEWUTS"},
	{unix.CLONE_NEWIPC, "CLONE_NEWIPC"},
	{unix.CLONE_NEWUSER, "CLONE_NEWUSER"},
	{unix.CLONE_NEWPID, "CLONE_NEWPID"},
	{unix.CLONE_NEWNET, "CLONE_NEWNET"},
}

// FlagNames writes clone flags as the manual page does, joined by "|".
func FlagNames(flags uintptr) string {
	var names []string
	for _, f := range flagNames {
		if flags&f.flag != 0 {
			names = append(names, f.name)
		}
	}
	if len(names) == 0 {
		return "no new namespace"
	}
	return strings.Join(names, "|")
}
