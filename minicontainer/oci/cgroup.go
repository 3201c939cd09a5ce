package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/cgroupdemo"
	"cutaway/minicontainer/oci/rootfs"
	"cutaway/minicontainer/oci/spawn"
)

// cgroupConfig turns linux.cgroupsPath into a group: an absolute path begins at
// the top of each hierarchy, a relative one at the runtime's own group. The
// folders above the container's group are the caller's, so they are part of the
// name and not a prefix that would be removed with it.
func cgroupConfig(path string) cgroupdemo.Config {
	name := strings.Trim(filepath.Clean(path), "/")
	if filepath.IsAbs(path) {
		return cgroupdemo.Config{Prefix: "/", Name: name}
	}
	return cgroupdemo.Config{Name: name}
}

// cgroupPath is the path that a spec asks for; the container's name without one.
func cgroupPath(path, id string) string {
	if path == "" {
		return id
	}
	return path
}

// groups are a container's own group and the trees that it is in.
type groups struct {
	trees *cgroupdemo.Hierarchies
	own   *cgroupdemo.Group
}

// Hierarchies reads which there are, once: it takes reading the whole mount table,
// which has two lines for each container that runs.
func (r *Runtime) Hierarchies() (*cgroupdemo.Hierarchies, error) {
	r.treesMu.Lock()
	defer r.treesMu.Unlock()
	if r.trees != nil {
		return r.trees, nil
	}
	var err error
	r.trees, err = cgroupdemo.Read("/proc")
	return r.trees, err
}

// openGroups finds the container's group, once per handle.
func (c *Container) openGroups() (*cgroupdemo.Group, error) {
	if c.groups == nil {
		hs, err := c.rt.Hierarchies()
		if err != nil {
			return nil, err
		}
		g, err := cgroupdemo.Open(hs, cgroupConfig(c.Cgroup))
		if err != nil {
			return nil, err
		}
		c.groups = &groups{hs, g}
	}
	return c.groups.own, nil
}

// below are groups that the container has made below its own: "path", in every
// hierarchy, or "controller,controller:path".
func (g *groups) below(paths []string) (*groups, error) {
	if len(paths) == 0 {
		return g, nil
	}
	if g == nil {
		return nil, errors.New("the container has no cgroup, and so none below it")
	}
	own := *g.own
	own.Places = slices.Clone(g.own.Places)
	for _, path := range paths {
		controllers, sub, some := strings.Cut(path, ":")
		if !some {
			controllers, sub = "", path
		}
		if !filepath.IsLocal(filepath.Join(".", sub)) {
			return nil, fmt.Errorf("bad sub cgroup path: %s is not a sub cgroup path", sub)
		}
		dirs, err := g.dirsOf(controllers)
		if err != nil {
			return nil, err
		}
		for i, p := range g.own.Places {
			if slices.Contains(dirs, p.Dir) {
				own.Places[i].Dir = filepath.Join(p.Dir, sub)
			}
		}
	}
	return &groups{g.trees, &own}, nil
}

// dirsOf are the group's folders in the hierarchies of these controllers; of all
// without any.
func (g *groups) dirsOf(controllers string) (dirs []string, err error) {
	for name := range strings.SplitSeq(controllers, ",") {
		found := false
		for _, p := range g.own.Places {
			if name == "" || p.Controller.NameIn(p.Version) == name {
				dirs, found = append(dirs, p.Dir), true
			}
		}
		if !found {
			return nil, fmt.Errorf("unknown controller %s: the container's cgroup is in no hierarchy of it", name)
		}
	}
	return dirs, nil
}

// doors opens what a process needs to be born in the group: the directory of
// version 2, and the tasks files of version 1.
func (g *groups) doors() (v2 *os.File, v1 []*os.File, err error) {
	seen := map[string]bool{}
	for _, p := range g.own.Places {
		if seen[p.Dir] {
			continue
		}
		seen[p.Dir] = true
		if p.Version == cgroupdemo.V2 {
			v2, err = os.Open(p.Dir)
		} else {
			var f *os.File
			f, err = os.OpenFile(filepath.Join(p.Dir, "tasks"), os.O_WRONLY, 0)
			v1 = append(v1, f)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return v2, v1, nil
}

// start starts a process as a member of the group; of none without one.
func (g *groups) start(p spawn.Process) (int, error) {
	if g == nil {
		return spawn.Start(p)
	}
	var err error
	p.Group, p.Tasks, err = g.doors()
	if errors.Is(err, fs.ErrNotExist) && ordinaryUser() {
		return spawn.Start(p) // the container has no group either, see mayLackCgroups
	}
	if err != nil {
		return 0, err
	}
	defer closeAll(append(p.Tasks, p.Group))
	return spawn.Start(p)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// shelves lists what a mount of type cgroup shows: the v1 hierarchies by name,
// or the one of version 2 where there is nothing else.
func (g *groups) shelves() []rootfs.Hierarchy {
	var out []rootfs.Hierarchy
	for _, h := range g.trees.List {
		if h.Version == cgroupdemo.V2 {
			continue
		}
		name := strings.TrimPrefix(h.Label(), "name=")
		data := h.Controllers
		if len(data) == 0 {
			data = []string{"none", "name=" + h.Name}
		}
		out = append(out, rootfs.Hierarchy{Name: name, Data: data, Path: placeIn(h, g.own)})
	}
	if len(out) > 0 {
		return out
	}
	for _, h := range g.trees.List {
		out = append(out, rootfs.Hierarchy{Path: placeIn(h, g.own)})
	}
	return out
}

// placeIn is the group's directory in one hierarchy; its mount point where the
// group has none there (a named hierarchy has no controller to limit with).
func placeIn(h cgroupdemo.Hierarchy, g *cgroupdemo.Group) string {
	for _, p := range g.Places {
		if strings.HasPrefix(p.Dir, h.MountPoint+"/") {
			return p.Dir
		}
	}
	return h.MountPoint
}

// mayLackCgroups: without root the hierarchies usually belong to somebody else,
// and a container without limits is better than none. Root of a user namespace
// is an ordinary user to them.
func mayLackCgroups(err error) bool {
	return ordinaryUser() && (errors.Is(err, fs.ErrPermission) || errors.Is(err, cgroupdemo.ErrNoController))
}

// ordinaryUser tells whether we are not root, or only in a user namespace: the
// first one is that which maps every id to itself (user_namespaces(7)).
func ordinaryUser() bool {
	if os.Geteuid() != 0 {
		return true
	}
	text, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !slices.Equal(strings.Fields(string(text)), []string{"0", "0", "4294967295"})
}

// lateLeave bounds how long after its death a process may still be in its group.
const lateLeave = 2 * time.Second

// deleteGroup removes it, and tries again for so long while somebody is in it.
func deleteGroup(g *cgroupdemo.Group, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return g.Delete(ctx)
}

// allowedDevices are for every container, whatever its rules say: making nodes,
// which needs a capability anyway, and using the harmless ones.
var allowedDevices = []specs.LinuxDeviceCgroup{
	allow("c", -1, -1, "m"), allow("b", -1, -1, "m"),
	allow("c", 1, 3, "rwm"), allow("c", 1, 8, "rwm"), allow("c", 1, 7, "rwm"), allow("c", 5, 0, "rwm"),
	allow("c", 1, 5, "rwm"), allow("c", 1, 9, "rwm"), // null random full tty zero urandom
	allow("c", 136, -1, "rwm"), allow("c", 5, 2, "rwm"), // /dev/pts/N, ptmx
}

func allow(kind string, major, minor int64, access string) specs.LinuxDeviceCgroup {
	return specs.LinuxDeviceCgroup{Allow: true, Type: kind, Major: &major, Minor: &minor, Access: access}
}

// setLimitsOf writes resources into a group. What version 1 has no words for is
// left out, as runc does; but who names a file of version 2 wants that one.
func setLimitsOf(g *cgroupdemo.Group, r specs.LinuxResources) error {
	plan, err := g.Set(cgroupdemo.Spec{LinuxResources: r})
	if err != nil {
		return err
	}
	for _, l := range plan.Left {
		if strings.HasPrefix(l.Field, "unified.") {
			return fmt.Errorf("invalid configuration: linux.resources.%s: %s", l.Field, l.Why)
		}
	}
	return nil
}
