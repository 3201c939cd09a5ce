package cgroupdemo

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// ParseMountinfo picks the cgroup trees out of a /proc/PID/mountinfo text
// (proc_pid_mountinfo(5)):
//
//	33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpuacct
//	           |  |                      |          |        |  |             |
//	        root  mount point            mount      optional |  type          the super block's
//	                                     options    fields   separator        options: controllers
//
// A tree that is mounted twice (docker in docker) is given once, at its first place.
func ParseMountinfo(r io.Reader) ([]Hierarchy, error) {
	var list []Hierarchy
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // overlay mounts have long option lists
	for lines.Scan() {
		h, ok, err := parseMount(lines.Text())
		if err != nil {
			return nil, err
		}
		again := slices.ContainsFunc(list, func(o Hierarchy) bool { return o.Device == h.Device })
		if ok && !again {
			list = append(list, h)
		}
	}
	return list, lines.Err()
}

// parseMount reads one line; ok is false for mounts of other kinds.
func parseMount(line string) (h Hierarchy, ok bool, err error) {
	left, right, found := strings.Cut(line, " - ")
	before, after := strings.Fields(left), strings.Fields(right)
	if !found || len(before) < 6 || len(after) < 2 {
		return h, false, fmt.Errorf("mountinfo line %q: want six fields, a separator \" - \", type and source", line)
	}
	h = Hierarchy{Device: before[2], Root: unescape(before[3]), MountPoint: unescape(before[4])}
	h.ReadOnly = slices.Contains(strings.Split(before[5], ","), "ro")
	switch after[0] {
	case "cgroup2":
		h.Version = V2
	case "cgroup":
		h.Version = V1
	default:
		return h, false, nil
	}
	if h.Version == V1 && len(after) > 2 {
		h.Name, h.Controllers = parseV1Options(after[2])
	}
	return h, true, nil
}

// flags are super block options of a v1 tree that do not name a controller (cgroups(7)).
var flags = []string{"rw", "ro", "noprefix", "clone_children", "xattr", "cpuset_v2_mode", "none",
	"nsdelegate", "favordynmods", "seclabel"}

// parseV1Options sorts "rw,xattr,name=systemd" and "rw,cpu,cpuacct" out.
func parseV1Options(text string) (name string, controllers []string) {
	for _, option := range strings.Split(text, ",") {
		switch key, value, has := strings.Cut(option, "="); {
		case key == "name":
			name = value
		case has || key == "" || slices.Contains(flags, key):
			// release_agent=... and flags say nothing about controllers.
		default:
			controllers = append(controllers, option)
		}
	}
	return name, controllers
}

// unescape turns the kernel's \040 (blank), \011, \012 and \134 back.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
