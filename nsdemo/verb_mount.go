package nsdemo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// MountRequest has the arguments of mount(2), options as in fstab(5).
type MountRequest struct {
	Source, Target, Type string
	Options              []string
}

// mountFlags are the options that are flags; all others are the filesystem's data.
var mountFlags = sync.OnceValue(func() map[string]uintptr {
	return map[string]uintptr{
		"ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC,
		"bind": unix.MS_BIND, "rbind": unix.MS_BIND | unix.MS_REC, "remount": unix.MS_REMOUNT, "noatime": unix.MS_NOATIME,
	}
})

// MountFlags splits options into the flags and the data of mount(2).
func MountFlags(options []string) (flags uintptr, data string) {
	var rest []string
	for _, o := range options {
		if flag, known := mountFlags()[o]; known {
			flags |= flag
		} else {
			rest = append(rest, o)
		}
	}
	return flags, strings.Join(rest, ",")
}

var (
	askMount       = verb("ns.mount", nothing(mount))
	askUnmount     = verb("ns.unmount", nothing(unmount))
	askPropagation = verb("ns.propagation", nothing(setPropagation))
	askMounts      = verb("ns.mounts", func(context.Context, none) ([]*Mount, error) { return ownMounts() })
	askDevice      = verb("ns.mount-device", nothing(mountDevice))
)

// Mount calls mount(2) inside.
func (p *Process) Mount(ctx context.Context, m MountRequest) error {
	_, err := askMount(ctx, p, m)
	return err
}

// MountTmpfs calls mount(2) inside for a tmpfs(5) of a size in bytes.
func (p *Process) MountTmpfs(ctx context.Context, dir string, size int64) error {
	return p.Mount(ctx, MountRequest{Source: "tmpfs", Target: dir, Type: "tmpfs",
		Options: []string{fmt.Sprintf("size=%d", size), "nosuid", "nodev"}})
}

// MountProc calls mount(2) inside for a proc(5) that shows the pid namespace of
// the process.
func (p *Process) MountProc(ctx context.Context, dir string) error {
	return p.Mount(ctx, MountRequest{Source: "proc", Target: dir, Type: "proc",
		Options: []string{"nosuid", "nodev", "noexec"}})
}

func mount(m MountRequest) error {
	flags, data := MountFlags(m.Options)
	if err := unix.Mount(m.Source, m.Target, m.Type, flags, data); err != nil {
		return fmt.Errorf("mount(%q, %q, %q, options %q): %w", m.Source, m.Target, m.Type, m.Options, err)
	}
	return nil
}

type unmountRequest struct {
	Dir    string
	Detach bool
}

// Unmount calls umount2(2) inside; detach (MNT_DETACH) takes a busy mount out of
// the tree at once and lets it end with its last user.
func (p *Process) Unmount(ctx context.Context, dir string, detach bool) error {
	_, err := askUnmount(ctx, p, unmountRequest{dir, detach})
	return err
}

func unmount(r unmountRequest) error {
	flags, name := 0, "0"
	if r.Detach {
		flags, name = unix.MNT_DETACH, "MNT_DETACH"
	}
	if err := unix.Unmount(r.Dir, flags); err != nil {
		return fmt.Errorf("umount2(%q, %s): %w", r.Dir, name, err)
	}
	return nil
}

type propagationRequest struct {
	Dir       string
	Type      Propagation
	Recursive bool
}

// SetPropagation calls mount(2) inside with MS_PRIVATE, MS_SHARED, MS_SLAVE or
// MS_UNBINDABLE on a mount point, and with MS_REC on all mounts below it.
func (p *Process) SetPropagation(ctx context.Context, dir string, to Propagation, recursive bool) error {
	_, err := askPropagation(ctx, p, propagationRequest{dir, to, recursive})
	return err
}

func setPropagation(r propagationRequest) error {
	flags, name := r.Type.flag(), r.Type.FlagName()
	if flags == 0 {
		return fmt.Errorf("propagation %q: want private, shared, slave or unbindable", r.Type)
	}
	if r.Recursive {
		flags, name = flags|unix.MS_REC, name+"|MS_REC"
	}
	if err := unix.Mount("", r.Dir, "", flags, ""); err != nil {
		return fmt.Errorf("mount(%q, %s): %w", r.Dir, name, err)
	}
	return nil
}

// Mounts reads /proc/self/mountinfo inside: the same as [Mounts] for the pid from
// outside, as long as a /proc is mounted there.
func (p *Process) Mounts(ctx context.Context) ([]*Mount, error) {
	return askMounts(ctx, p, none{})
}

// MountDevice tries mount(2) of a block device inside, as ext4, which takes
// CAP_SYS_ADMIN in the initial user namespace. It refuses to try where it might
// succeed, that is, in the initial user namespace.
func (p *Process) MountDevice(ctx context.Context, device, dir string) error {
	_, err := askDevice(ctx, p, MountRequest{Source: device, Target: dir, Type: "ext4", Options: []string{"ro"}})
	return err
}

func mountDevice(m MountRequest) error {
	if err := refuseInitial(User); err != nil {
		return err
	}
	return mount(m)
}

// ownMounts finds the process's own pid in the /proc that is mounted here, which
// may be another pid namespace's.
func ownMounts() ([]*Mount, error) {
	pid, err := ownPidIn("/proc")
	if err != nil {
		return nil, err
	}
	return Mounts("/proc", pid)
}

// ownPidIn reads the link procRoot/self, which every proc filesystem makes for
// its own pid namespace.
func ownPidIn(procRoot string) (int, error) {
	link, err := os.Readlink(filepath.Join(procRoot, "self"))
	if err != nil {
		return 0, fmt.Errorf("%w (is a proc filesystem mounted here, of this or an outer pid namespace?)", err)
	}
	return strconv.Atoi(link)
}
