package rootfs

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Setup is what there is to build the tree from.
type Setup struct {
	Spec    *specs.Spec
	Path    string     // the root file system's folder, as the host names it
	Tree    *os.File   // its clone, detached
	Sources []*os.File // clones of the bind mounts' sources, one per mount, nil where there is none
	Cgroups []Hierarchy
	Proc    *Proc

	// Fsopen is fsopen(2) as the container's own process calls it; nil where that
	// is the caller. A procfs shows the pid namespace of who opened its context.
	Fsopen func(kind string) (*os.File, error)
}

// Hierarchy is one cgroup file system, for a mount of type cgroup.
type Hierarchy struct {
	Name string   // folder below the mount: "memory", "cpu,cpuacct"; "" for cgroup v2
	Data []string // its mount options: controllers, or name=systemd
	Path string   // the container's own group, as the host names it
}

// Begin cuts the tie to the host's mounts and puts the root's clone in place.
// Everything after it happens in this process's own mount table.
func (s *Setup) Begin() (*Root, error) {
	// Slave, not private: what the host unmounts must not stay busy because of
	// the copies that this namespace still has of it.
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return nil, fmt.Errorf("mount / MS_SLAVE|MS_REC: %w", err)
	}
	place, err := os.OpenFile(s.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EACCES) {
		// Root of a user namespace may not walk to every folder of the host. Any
		// place will do until the pivot; on "/" it hides nothing, as paths begin
		// below it.
		place, err = os.OpenFile("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, err
	}
	defer place.Close()
	if err := attach(s.Tree, place); err != nil {
		return nil, err
	}
	return &Root{s.Tree}, nil
}

// Mounts makes every mount of the spec, in its order: later ones may lie in
// earlier ones.
func (s *Setup) Mounts(r *Root) error {
	for i, m := range s.Spec.Mounts {
		if err := s.mount(r, m, s.Sources[i]); err != nil {
			return fmt.Errorf("error mounting %q to rootfs at %q: %w", m.Source, m.Destination, err)
		}
	}
	return nil
}

func (s *Setup) mount(r *Root, m specs.Mount, source *os.File) error {
	p, err := PlanOptions(m)
	if err != nil {
		return err
	}
	if m.Destination == "/dev" {
		p = p.writable() // the device nodes come after; FinishDev makes it read-only
	}
	switch {
	case p.Bind:
		return s.bind(r, m, p, source)
	case m.Type == "cgroup":
		return s.cgroup(r, m, p)
	default:
		return s.filesystem(r, m, p)
	}
}

// bind puts the source's clone in place; the target is made like the source.
func (s *Setup) bind(r *Root, m specs.Mount, p Plan, source *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(source.Fd()), &st); err != nil {
		return err
	}
	open := r.CreateFile
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		open = r.MkdirAll
	}
	target, err := open(m.Destination)
	if err != nil {
		return err
	}
	defer target.Close()
	return s.place(source, target, m, p)
}

// filesystem makes a new file system and puts it in place.
func (s *Setup) filesystem(r *Root, m specs.Mount, p Plan) error {
	if m.Type == "proc" || m.Type == "sysfs" {
		if err := r.refuseSymlink(m); err != nil {
			return err
		}
	}
	target, err := r.MkdirAll(m.Destination)
	if err != nil {
		return err
	}
	defer target.Close()
	made := p
	if m.Type == "tmpfs" {
		made = p.writable() // its mode and contents come first; read-only is then the mount's
	}
	tree, err := s.newFilesystem(m.Type, m.Source, made)
	if err != nil {
		return err
	}
	defer tree.Close()
	if m.Type == "tmpfs" {
		if err := dressTmpfs(tree, target, p); err != nil {
			return err
		}
	}
	return s.place(tree, target, m, p)
}

// place is the last step of every mount: attributes while nobody can see it,
// then attach, then propagation, which only a mount in a tree has.
func (s *Setup) place(tree, target *os.File, m specs.Mount, p Plan) error {
	if err := s.allowed(tree, target); err != nil {
		return err
	}
	if err := setAttr(tree, p.SetRec, p.ClearRec, true); err != nil {
		return err
	}
	if err := setAttr(tree, p.Set, p.Clear, false); err != nil {
		return err
	}
	if err := attach(tree, target); err != nil {
		return err
	}
	for _, change := range p.Propagation {
		if err := SetPropagation(tree, change); err != nil {
			return err
		}
	}
	return nil
}

// writable takes read-only out of a plan.
func (p Plan) writable() Plan {
	p.Set &^= unix.MOUNT_ATTR_RDONLY
	kept := []string{}
	for _, s := range p.Super {
		if s != "ro" {
			kept = append(kept, s)
		}
	}
	p.Super = kept
	return p
}
