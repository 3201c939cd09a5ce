package rootfs

import (
	"errors"
	"os"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// cgroup makes a mount of type cgroup: cgroup2 alone, or a tmpfs with one
// folder per v1 hierarchy, the way a host has it at /sys/fs/cgroup.
func (s *Setup) cgroup(r *Root, m specs.Mount, p Plan) error {
	target, err := r.MkdirAll(m.Destination)
	if err != nil {
		return err
	}
	defer target.Close()
	if len(s.Cgroups) == 1 && s.Cgroups[0].Name == "" {
		tree, err := s.hierarchy(s.Cgroups[0], p)
		if err != nil {
			return err
		}
		defer tree.Close()
		return s.place(tree, target, m, p)
	}
	shelf := p.writable() // its folders come first
	shelf.Super, shelf.Data = nil, []string{"mode=755"}
	top, err := newFilesystem("tmpfs", "tmpfs", shelf)
	if err != nil {
		return err
	}
	defer top.Close()
	if err := s.place(top, target, m, shelf); err != nil {
		return err
	}
	for _, h := range s.Cgroups {
		if err := s.shelve(r, m, h, p); err != nil {
			return err
		}
	}
	return setAttr(top, p.Set, p.Clear, false)
}

// shelve mounts one v1 hierarchy, and links cpu and cpuacct to cpu,cpuacct.
func (s *Setup) shelve(r *Root, m specs.Mount, h Hierarchy, p Plan) error {
	dest := m.Destination + "/" + h.Name
	target, err := r.MkdirAll(dest)
	if err != nil {
		return err
	}
	defer target.Close()
	tree, err := s.hierarchy(h, p)
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := s.place(tree, target, m, p); err != nil {
		return err
	}
	if !strings.Contains(h.Name, ",") {
		return nil
	}
	for _, one := range strings.Split(h.Name, ",") {
		if err := r.Symlink(h.Name, m.Destination+"/"+one); err != nil {
			return err
		}
	}
	return nil
}

// hierarchy gives the container's view of one cgroup file system. In a cgroup
// namespace a new mount begins at the container's own group; without one only a
// bind of that group keeps the host's other groups out of sight.
func (s *Setup) hierarchy(h Hierarchy, p Plan) (*os.File, error) {
	if !s.ownCgroupNamespace() {
		return CloneTree(h.Path, true)
	}
	if h.Name == "" {
		return newFilesystem("cgroup2", "cgroup", Plan{Set: p.Set})
	}
	return newFilesystem("cgroup", "cgroup", Plan{Set: p.Set, Data: h.Data})
}

func (s *Setup) ownCgroupNamespace() bool {
	for _, ns := range s.Spec.Linux.Namespaces {
		if ns.Type == specs.CgroupNamespace {
			return true
		}
	}
	return false
}

// Symlink makes a symlink below the root (symlinkat(2)); one that is there stays.
func (r *Root) Symlink(target, path string) error {
	dir, name, err := r.openParent(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	err = unix.Symlinkat(target, int(dir.Fd()), name)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return &os.LinkError{Op: "symlink", Old: target, New: path, Err: err}
	}
	return nil
}
