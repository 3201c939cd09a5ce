package nsdemo

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// CgroupPath is a line of /proc/PID/cgroup.
type CgroupPath struct {
	Hierarchy   int      // 0 for cgroup v2
	Controllers []string // empty for cgroup v2
	// Path counts from the root of the reader's cgroup namespace, and begins
	// with /.. where the process is outside of it.
	Path string
}

// CgroupPaths reads procRoot/PID/cgroup (cgroups(7), cgroup_namespaces(7)).
func CgroupPaths(procRoot string, pid int) ([]CgroupPath, error) {
	f, err := os.Open(filepath.Join(procRoot, strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ParseCgroupPaths(f)
}

// ParseCgroupPaths reads lines "hierarchy:controllers:path". A path may have colons.
func ParseCgroupPaths(r io.Reader) ([]CgroupPath, error) {
	var list []CgroupPath
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) != 3 {
			return nil, fmt.Errorf("cgroup line %q: want hierarchy:controllers:path", lines.Text())
		}
		n, err := strconv.Atoi(parts[0])
		if err != nil {
			return nil, fmt.Errorf("cgroup line %q: hierarchy: %w", lines.Text(), err)
		}
		c := CgroupPath{Hierarchy: n, Path: parts[2]}
		if parts[1] != "" {
			c.Controllers = strings.Split(parts[1], ",")
		}
		list = append(list, c)
	}
	return list, lines.Err()
}
