package rootfs

import (
	"fmt"
	"os"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// procFiles are the only places in /proc that may be covered: lxcfs shows a
// container its own limits there. Anything else would let a container fake what
// the runtime and its tools read about it.
var procFiles = []string{
	"cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo",
	"net/dev", "sys/kernel/ns_last_pid",
}

// allowed refuses a mount inside procfs, judged by what was really opened and
// not by the path in the spec: a symlink of the image may lead there as well.
func (s *Setup) allowed(tree, target *os.File) error {
	if !isProcfs(target) {
		return nil
	}
	where, err := s.Proc.place(target)
	if err != nil {
		return err
	}
	for _, name := range procFiles {
		if strings.HasSuffix(where, "/"+name) {
			return nil
		}
	}
	if isProcfs(tree) && isRootOfMount(target) {
		return nil // a procfs over a procfs hides nothing
	}
	return fmt.Errorf("%q cannot be mounted because it is inside /proc", target.Name())
}

// isRootOfMount asks whether a place is the top of its mount (statx(2)).
func isRootOfMount(f *os.File) bool {
	var st unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, 0, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// refuseSymlink wants procfs and sysfs on plain folders: the kernel's files must
// be where every program looks for them, not where an image points.
func (r *Root) refuseSymlink(m specs.Mount) error {
	f, err := r.Open(m.Destination, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return nil // nothing there yet: MkdirAll says what is wrong
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("filesystem %q must be mounted on ordinary directory", m.Type)
	}
	return nil
}

// CheckDestination refuses what would leave no usable /proc, by the spec alone.
func CheckDestination(m specs.Mount) error {
	clean := "/" + strings.Join(split(m.Destination), "/")
	switch {
	case clean == "/":
		return fmt.Errorf("mount destination %q is the root itself", m.Destination)
	case clean == "/proc" && m.Type != "proc" && m.Source != "/proc":
		return fmt.Errorf("%q cannot be mounted because it is not of type proc", m.Destination)
	}
	return nil
}
