package cgroupdemo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Hierarchy is one mounted cgroup tree.
type Hierarchy struct {
	Version     Version
	ID          int      // hierarchy number of /proc/cgroups; 0 is version 2
	Name        string   // of a v1 hierarchy mounted with name=, such as "systemd"
	Controllers []string // in the kernel's words; for v2 what cgroup.controllers at MountPoint lists
	Device      string   // major:minor of the mounted filesystem; equal for two mounts of one tree
	MountPoint  string
	Root        string // the group that is seen at MountPoint: "/" unless a subtree was bind-mounted
	ReadOnly    bool
}

// Mode says how the machine mixes the versions.
type Mode string

// The modes. Hybrid means: v1 controllers and a cgroup2 mount beside them.
const (
	ModeNone   Mode = "none"
	ModeV1     Mode = "v1"
	ModeV2     Mode = "v2"
	ModeHybrid Mode = "hybrid"
)

// Hierarchies is what the kernel told about its cgroup trees, and where the
// process that asked stands in them.
type Hierarchies struct {
	Proc  string             // the /proc it was read from
	List  []Hierarchy        // as mounted, each tree once
	Known []ControllerStatus // /proc/cgroups
	Own   []Membership       // /proc/self/cgroup
}

// Read takes stock: proc/self/mountinfo, proc/cgroups, proc/self/cgroup and
// cgroup.controllers of the cgroup2 mount (cgroups(7)). proc is "/proc" on a
// live machine. A machine without cgroup mounts is not an error: see [Mode].
func Read(proc string) (*Hierarchies, error) {
	hs := &Hierarchies{Proc: proc}
	var err error
	if hs.List, err = parseFile(filepath.Join(proc, "self/mountinfo"), ParseMountinfo); err != nil {
		return nil, err
	}
	if hs.Known, err = parseFile(filepath.Join(proc, "cgroups"), ParseControllers); err != nil {
		return nil, err
	}
	if hs.Own, err = parseFile(filepath.Join(proc, "self/cgroup"), ParseMembership); err != nil {
		return nil, err
	}
	for i := range hs.List {
		if err := hs.complete(&hs.List[i]); err != nil {
			return nil, err
		}
	}
	return hs, nil
}

// complete adds what mountinfo does not tell: the number of a v1 tree, and the
// controllers of the v2 tree.
func (hs *Hierarchies) complete(h *Hierarchy) error {
	if h.Version == V1 {
		for _, m := range hs.Own {
			if m.serves(*h) {
				h.ID = m.ID
			}
		}
		return nil
	}
	path := filepath.Join(h.MountPoint, "cgroup.controllers")
	text, err := os.ReadFile(path)
	if err != nil && !isAbsent(err) {
		return fmt.Errorf("read the controllers of cgroup2 at %s: %w", h.MountPoint, err)
	}
	h.Controllers = strings.Fields(string(text))
	return nil
}

// Mode tells v1, v2 and hybrid apart. A named v1 tree (systemd's own) counts
// for nothing: it has no controller, so a machine whose only v1 tree is that
// one is a v2 machine as far as limits go.
func (hs *Hierarchies) Mode() Mode {
	var v1, v2 bool
	for _, h := range hs.List {
		v1 = v1 || h.Version == V1 && len(h.Controllers) > 0
		v2 = v2 || h.Version == V2
	}
	switch {
	case v1 && v2:
		return ModeHybrid
	case v1:
		return ModeV1
	case v2:
		return ModeV2
	}
	return ModeNone
}

// In finds the hierarchy that offers the controller in that version.
func (hs *Hierarchies) In(c Controller, v Version) (Hierarchy, bool) {
	for _, h := range hs.List {
		if h.Version != v {
			continue
		}
		name := c.NameIn(v)
		if name != "" && slices.Contains(h.Controllers, name) || v == V2 && c.builtinV2() {
			return h, true
		}
	}
	return Hierarchy{}, false
}

// Find chooses for one controller: the v1 tree if it is mounted there (then
// version 2 cannot have it), else the v2 tree. What v2 does by itself (freezing,
// CPU accounting, devices) is therefore taken from v1 where both could do it.
func (hs *Hierarchies) Find(c Controller) (Hierarchy, bool) {
	if h, ok := hs.In(c, V1); ok {
		return h, true
	}
	return hs.In(c, V2)
}

// VersionOf is the version that [Hierarchies.Find] chose; 0 if the controller is not here.
func (hs *Hierarchies) VersionOf(c Controller) Version {
	h, _ := hs.Find(c)
	return h.Version
}

func parseFile[T any](path string, parse func(io.Reader) (T, error)) (T, error) {
	var none T
	f, err := os.Open(path)
	if err != nil {
		return none, err
	}
	defer f.Close()
	v, err := parse(f)
	if err != nil {
		return none, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
