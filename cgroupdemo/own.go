package cgroupdemo

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrNotVisible says that a group exists, but outside of what is mounted here.
var ErrNotVisible = errors.New("the group lies outside of the mounted part of its hierarchy")

// MembershipOf reads /proc/PID/cgroup: the group of a process in each hierarchy.
func (hs *Hierarchies) MembershipOf(pid int) ([]Membership, error) {
	return parseFile(filepath.Join(hs.Proc, strconv.Itoa(pid), "cgroup"), ParseMembership)
}

// GroupOf gives the group of pid in every hierarchy as a directory. A tree
// whose group cannot be seen from here is left out.
func (hs *Hierarchies) GroupOf(pid int) (map[string]Reading[string], error) {
	list, err := hs.MembershipOf(pid)
	if err != nil {
		return nil, err
	}
	from := filepath.Join(hs.Proc, strconv.Itoa(pid), "cgroup")
	groups := map[string]Reading[string]{}
	for _, h := range hs.List {
		if dir, err := dirIn(h, list); err == nil {
			groups[h.Label()] = Reading[string]{Value: dir, Path: from}
		}
	}
	return groups, nil
}

// Label names a hierarchy for people: "v2", "cpu,cpuacct" or "name=systemd".
func (h Hierarchy) Label() string {
	switch {
	case h.Version == V2:
		return "v2"
	case len(h.Controllers) == 0:
		return "name=" + h.Name
	}
	return strings.Join(h.Controllers, ",")
}

// ownDir is the caller's own group in h, as a directory.
func (hs *Hierarchies) ownDir(h Hierarchy) (string, error) { return dirIn(h, hs.Own) }

func dirIn(h Hierarchy, list []Membership) (string, error) {
	for _, m := range list {
		if m.serves(h) {
			return h.Dir(m.Path)
		}
	}
	return "", fmt.Errorf("hierarchy %s at %s: no line for it in /proc/PID/cgroup", h.Label(), h.MountPoint)
}

// Dir turns a group's path of /proc/PID/cgroup into a directory. In a container
// without a cgroup namespace the mount shows only a subtree: then Root is that
// subtree's path, and it has to be taken off first. [ErrNotVisible] otherwise.
func (h Hierarchy) Dir(path string) (string, error) {
	rest, ok := strings.CutPrefix(path, h.Root)
	below := ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(h.Root, "/"))
	if !below || strings.HasPrefix(path, "/..") {
		return "", fmt.Errorf("group %s, but %s shows %s and what is below: %w", path, h.MountPoint, h.Root, ErrNotVisible)
	}
	return filepath.Join(h.MountPoint, rest), nil
}
