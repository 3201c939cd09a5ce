package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"cutaway/internal/journal/mark"
)

// Kind is what an undo does. The list is closed: a journal written by one
// cutaway must be readable by the next.
type Kind string

const (
	Umount       Kind = "umount"        // Path
	RemoveDir    Kind = "rmdir"         // Path
	RemoveFile   Kind = "remove-file"   // Path
	RemoveCgroup Kind = "cgroup-remove" // Path
	ControlOff   Kind = "control-off"   // Path (a cgroup.subtree_control), Name ("-cpu -memory")
	DeleteLink   Kind = "link-delete"   // Name
	DetachLoop   Kind = "loop-detach"   // Backing, and Path (device) where it is known beforehand
	RemoveDM     Kind = "dm-remove"     // Name
	ResumeDM     Kind = "dm-resume"     // Name
	KillProcess  Kind = "kill"          // Process
	SweepMarked  Kind = "sweep"         // Name (the run's token)
)

// Undo is how to take back one thing that was made.
type Undo struct {
	Kind    Kind    `json:"kind"`
	Path    string  `json:"path,omitempty"`
	Name    string  `json:"name,omitempty"`
	Backing string  `json:"backing,omitempty"`
	Process Process `json:"process,omitzero"`
}

// String is the command with which a person would look at what is left.
func (u Undo) String() string {
	switch u.Kind {
	case Umount:
		return "mount: findmnt " + u.Path
	case RemoveCgroup:
		return "cgroup: cat " + u.Path + "/cgroup.procs"
	case ControlOff:
		return "controllers handed on: cat " + u.Path
	case DeleteLink:
		return "link: ip link show " + u.Name
	case DetachLoop:
		return strings.TrimSpace("loop device of " + u.Backing + ": losetup --list " + u.Path)
	case RemoveDM, ResumeDM:
		return "device-mapper device: dmsetup info " + u.Name
	case KillProcess:
		return fmt.Sprintf("process: ps -fp %d", u.Process.Pid)
	case SweepMarked:
		return "processes: grep -l " + mark.Variable + "=" + u.Name + " /proc/[0-9]*/environ"
	default:
		return "file: ls -ld " + u.Path
	}
}

// Apply performs the undo. What is already gone is success; what is busy is
// retried for some seconds, since the kernel lets go of a dead process's mounts
// and groups a moment after the process, and of much memory later still.
func (u Undo) Apply() error {
	err := u.apply()
	for wait := time.Millisecond; errors.Is(err, unix.EBUSY) && wait < 4*time.Second; wait *= 2 {
		time.Sleep(wait)
		err = u.apply()
	}
	if err != nil && !gone(err) {
		return fmt.Errorf("undo %s: %w (look: %s)", u.Kind, err, u)
	}
	return nil
}

func (u Undo) apply() error {
	switch u.Kind {
	case Umount:
		return umount(u.Path)
	case RemoveDir:
		return unix.Rmdir(u.Path)
	case RemoveFile:
		return unix.Unlink(u.Path)
	case RemoveCgroup:
		return removeCgroup(u.Path)
	case ControlOff:
		return controlOff(u.Path, u.Name)
	case DeleteLink:
		return deleteLink(u.Name)
	case DetachLoop:
		return detachLoop(u.Path, u.Backing)
	case RemoveDM:
		return removeDM(u.Name)
	case ResumeDM:
		return resumeDM(u.Name)
	case KillProcess:
		return u.Process.Kill()
	case SweepMarked:
		return sweep(u.Name)
	}
	return fmt.Errorf("unknown undo %q: was it written by a newer cutaway?", u.Kind)
}

func gone(err error) bool {
	var notFound netlink.LinkNotFoundError
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ESRCH) || errors.As(err, &notFound)
}

// umount takes away the topmost mount at path. EINVAL means that nothing is
// mounted there: the mount is already gone.
func umount(path string) error {
	if err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW); err != unix.EINVAL {
		return err
	}
	return nil
}

// removeCgroup removes one group, and first those that a learner may have made
// in it by hand. Only folders are removed, innermost first: the files of a
// group are the kernel's own and go with it.
func removeCgroup(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeCgroup(path + "/" + e.Name()); err != nil && !gone(err) {
				return err
			}
		}
	}
	return unix.Rmdir(path)
}

// controlOff takes controllers back that were handed on to child groups
// (cgroup-v2.rst, "Enabling and Disabling"). The file exists already, so it is
// opened without O_CREAT; EBUSY means that a child group still hands them on.
func controlOff(file, names string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(names)
	return errors.Join(err, f.Close())
}

func deleteLink(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkDel(link)
}

// sweep ends the processes that carry the token, until there are none: one
// that forks while we look would otherwise leave a child behind.
func sweep(token string) error {
	for range 100 {
		found := Marked(token)
		if len(found) == 0 {
			return nil
		}
		for _, p := range found {
			thaw(p.Pid)
			if err := p.Kill(); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("processes of the run multiply faster than they can be ended: %w", unix.EAGAIN)
}
