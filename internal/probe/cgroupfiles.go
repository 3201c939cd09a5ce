package probe

import (
	"bufio"
	"io"
	"strings"
)

// A v1Line is one line of /proc/cgroups: subsys_name hierarchy num_cgroups enabled.
type v1Line struct {
	hierarchy string // "0" = built, but not mounted as v1 (or used by v2)
	enabled   bool   // false = cgroup_disable= on the kernel command line
}

// parseProcCgroups reads /proc/cgroups. Since 6.12 it lists only what is built
// for v1: a missing controller says nothing about v2.
func parseProcCgroups(r io.Reader) map[string]v1Line {
	list := map[string]v1Line{}
	in := bufio.NewScanner(r)
	for in.Scan() {
		f := strings.Fields(in.Text())
		if len(f) == 4 && !strings.HasPrefix(f[0], "#") {
			list[f[0]] = v1Line{hierarchy: f[1], enabled: f[3] == "1"}
		}
	}
	return list
}

// parseSelfCgroup reads /proc/self/cgroup ("4:memory:/user", "0::/user") into
// controller -> path; the v2 path is under "".
func parseSelfCgroup(r io.Reader) map[string]string {
	list := map[string]string{}
	in := bufio.NewScanner(r)
	for in.Scan() {
		f := strings.SplitN(in.Text(), ":", 3)
		if len(f) != 3 {
			continue
		}
		for _, controller := range strings.Split(f[1], ",") {
			list[controller] = f[2]
		}
	}
	return list
}

// cgroupPoint returns where the hierarchy of a v1 controller, or v2 for "", is
// mounted, and which of its folders is mounted there.
func cgroupPoint(mounts []mountLine, controller string) (mountLine, bool) {
	for _, m := range mounts {
		if controller == "" && m.fstype == "cgroup2" {
			return m, true
		}
		if controller != "" && m.fstype == "cgroup" && hasOption(m.super, controller) {
			return m, true
		}
	}
	return mountLine{}, false
}

// cgroupDir returns the folder of the cgroup path below a mounted hierarchy.
func cgroupDir(m mountLine, path string) string {
	below := strings.TrimPrefix(path, strings.TrimSuffix(m.root, "/"))
	return strings.TrimSuffix(m.point+"/"+strings.TrimPrefix(below, "/"), "/")
}

// hasOption finds one option in a comma separated list.
func hasOption(list, option string) bool {
	for _, o := range strings.Split(list, ",") {
		if o == option {
			return true
		}
	}
	return false
}
