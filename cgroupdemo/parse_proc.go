package cgroupdemo

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// ControllerStatus is one line of /proc/cgroups (cgroups(7)). Since Linux 6.12
// the file lists only what could serve version 1, so a missing line says
// nothing about version 2.
type ControllerStatus struct {
	Name      string
	Hierarchy int // 0: on version 2, or nowhere
	Groups    int // groups of that hierarchy that this controller serves
	Enabled   bool
}

// ParseControllers reads a /proc/cgroups text:
//
//	#subsys_name	hierarchy	num_cgroups	enabled
//	memory	4	17	1
func ParseControllers(r io.Reader) ([]ControllerStatus, error) {
	var list []ControllerStatus
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		var s ControllerStatus
		var enabled int
		if n, err := fmt.Sscan(line, &s.Name, &s.Hierarchy, &s.Groups, &enabled); n != 4 {
			return nil, fmt.Errorf("line %q: want name, hierarchy, groups, enabled: %w", line, err)
		}
		s.Enabled = enabled == 1
		list = append(list, s)
	}
	return list, lines.Err()
}

// Membership is one line of /proc/PID/cgroup: the group of a process in one hierarchy.
type Membership struct {
	ID          int      // hierarchy number, 0 for version 2
	Controllers []string // empty for version 2 and for a named tree
	Name        string   // of a named tree
	Path        string   // from the root of the hierarchy, as the reader's cgroup namespace shows it
}

// ParseMembership reads a /proc/PID/cgroup text:
//
//	4:memory:/user.slice         version 1
//	9:name=systemd:/init.scope   version 1, named, no controller
//	0::/user.slice               version 2
func ParseMembership(r io.Reader) ([]Membership, error) {
	var list []Membership
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		part := strings.SplitN(lines.Text(), ":", 3) // a path may contain colons
		if len(part) != 3 {
			return nil, fmt.Errorf("line %q: want number:controllers:path", lines.Text())
		}
		id, err := strconv.Atoi(part[0])
		if err != nil || id < 0 || !strings.HasPrefix(part[2], "/") {
			return nil, fmt.Errorf("line %q: want a hierarchy number first and an absolute path last", lines.Text())
		}
		m := Membership{ID: id, Path: part[2]}
		if part[1] != "" {
			m.Name, m.Controllers = parseV1Options(part[1])
		}
		list = append(list, m)
	}
	return list, lines.Err()
}

// serves says whether the line is about that hierarchy.
func (m Membership) serves(h Hierarchy) bool {
	if h.Version == V2 {
		return m.ID == 0
	}
	if m.ID == 0 || m.Name != h.Name {
		return false
	}
	return slices.Equal(slices.Sorted(slices.Values(m.Controllers)), slices.Sorted(slices.Values(h.Controllers)))
}
