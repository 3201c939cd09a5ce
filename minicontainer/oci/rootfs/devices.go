package rootfs

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// defaultDevices are in every container, as the runtime specification demands.
var defaultDevices = []specs.LinuxDevice{
	{Path: "/dev/null", Type: "c", Major: 1, Minor: 3},
	{Path: "/dev/zero", Type: "c", Major: 1, Minor: 5},
	{Path: "/dev/full", Type: "c", Major: 1, Minor: 7},
	{Path: "/dev/random", Type: "c", Major: 1, Minor: 8},
	{Path: "/dev/urandom", Type: "c", Major: 1, Minor: 9},
	{Path: "/dev/tty", Type: "c", Major: 5, Minor: 0},
}

// devLinks are the names in /dev that lead elsewhere.
var devLinks = [][2]string{
	{"/proc/self/fd", "/dev/fd"},
	{"/proc/self/fd/0", "/dev/stdin"},
	{"/proc/self/fd/1", "/dev/stdout"},
	{"/proc/self/fd/2", "/dev/stderr"},
}

// Devices fills /dev, unless the spec binds a ready-made one there.
func (s *Setup) Devices(r *Root) error {
	if s.devIsBound() {
		return nil
	}
	// mknod takes the umask out of the mode; the spec's mode is meant as it is.
	old := unix.Umask(0)
	defer unix.Umask(old)
	for _, d := range s.devices() {
		if err := s.device(r, d); err != nil {
			return fmt.Errorf("error creating device nodes: %s: %w", d.Path, err)
		}
	}
	return s.links(r)
}

// devices joins the default ones and the spec's, which win.
func (s *Setup) devices() []specs.LinuxDevice {
	all := append([]specs.LinuxDevice{}, s.Spec.Linux.Devices...)
	named := map[string]bool{}
	for _, d := range all {
		named[d.Path] = true
	}
	for _, d := range defaultDevices {
		if !named[d.Path] {
			all = append(all, d)
		}
	}
	return all
}

func (s *Setup) devIsBound() bool {
	for _, m := range s.Spec.Mounts {
		if p, err := PlanOptions(m); err == nil && m.Destination == "/dev" && p.Bind {
			return true
		}
	}
	return false
}

// device makes a node (mknodat(2)). A user namespace may not; there the host's
// own node is bound instead.
func (s *Setup) device(r *Root, d specs.LinuxDevice) error {
	dir, name, err := r.openParent(d.Path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if s.inUserNamespace() {
		return s.bindDevice(r, d)
	}
	mode, err := nodeMode(d)
	if err != nil {
		return err
	}
	err = unix.Mknodat(int(dir.Fd()), name, mode, int(unix.Mkdev(uint32(d.Major), uint32(d.Minor))))
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if errors.Is(err, unix.EPERM) {
		return s.bindDevice(r, d)
	}
	if err != nil {
		return fmt.Errorf("mknod %c %d:%d: %w", d.Type[0], d.Major, d.Minor, err)
	}
	return unix.Fchownat(int(dir.Fd()), name, owner(d.UID), owner(d.GID), unix.AT_SYMLINK_NOFOLLOW)
}

func (s *Setup) bindDevice(r *Root, d specs.LinuxDevice) error {
	source, err := CloneTree(d.Path, false)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := r.CreateFile(d.Path)
	if err != nil {
		return err
	}
	defer target.Close()
	return attach(source, target)
}

func (s *Setup) inUserNamespace() bool {
	for _, ns := range s.Spec.Linux.Namespaces {
		if ns.Type == specs.UserNamespace {
			return true
		}
	}
	return false
}

func nodeMode(d specs.LinuxDevice) (uint32, error) {
	perm := os.FileMode(0o666)
	if d.FileMode != nil {
		perm = *d.FileMode
	}
	switch d.Type {
	case "c", "u":
		return unix.S_IFCHR | uint32(perm.Perm()), nil
	case "b":
		return unix.S_IFBLK | uint32(perm.Perm()), nil
	case "p":
		return unix.S_IFIFO | uint32(perm.Perm()), nil
	}
	return 0, fmt.Errorf("%q is not a valid device type: c, u, b or p", d.Type)
}

func owner(id *uint32) int {
	if id == nil {
		return 0
	}
	return int(*id)
}

// links makes the symlinks, and /dev/ptmx, which must be the one of the
// container's own devpts: the host's would hand out the host's terminals.
func (s *Setup) links(r *Root) error {
	dir, name, err := r.openParent("/dev/ptmx")
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Unlinkat(int(dir.Fd()), name, 0); err != nil && err != unix.ENOENT {
		return fmt.Errorf("remove /dev/ptmx: %w", err)
	}
	if err := unix.Symlinkat("pts/ptmx", int(dir.Fd()), name); err != nil {
		return fmt.Errorf("symlink dev ptmx: %w", err)
	}
	for _, l := range devLinks {
		if err := r.Symlink(l[0], l[1]); err != nil {
			return err
		}
	}
	if _, err := os.Stat("/proc/kcore"); err == nil {
		return r.Symlink("/proc/kcore", "/dev/core")
	}
	return nil
}
