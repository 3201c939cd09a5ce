package journal

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// thaw lets a process run that is in a frozen group of ours. Version 1's
// freezer keeps even SIGKILL waiting until the group is thawed
// (cgroup-v1/freezer-subsystem.rst). A group without our name in its path is
// somebody else's decision. There is nothing to report: a process that stays
// frozen is reported by whoever waits for its end.
func thaw(pid int) {
	groups, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	group, mount := freezerGroup(groups), freezerMount(mounts)
	if mount == "" || !strings.Contains(group, "cutaway") {
		return
	}
	state := filepath.Join(mount, group, "freezer.state")
	if now, err := os.ReadFile(state); err != nil || bytes.HasPrefix(now, []byte("THAWED")) {
		return
	}
	_ = os.WriteFile(state, []byte("THAWED"), 0)
}

// freezerGroup finds the line "7:freezer:/path" of /proc/PID/cgroup.
func freezerGroup(cgroup []byte) string {
	for line := range strings.Lines(string(cgroup)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) == 3 && slices.Contains(strings.Split(part[1], ","), "freezer") {
			return part[2]
		}
	}
	return ""
}

// freezerMount finds where version 1's freezer is mounted: the fifth field of
// a mountinfo line whose last one, the super block's options, names it.
func freezerMount(mountinfo []byte) string {
	lines := bufio.NewScanner(bytes.NewReader(mountinfo))
	for lines.Scan() {
		field := strings.Fields(lines.Text())
		if len(field) > 5 && strings.Contains(lines.Text(), " - cgroup ") &&
			slices.Contains(strings.Split(field[len(field)-1], ","), "freezer") {
			return field[4]
		}
	}
	return ""
}
