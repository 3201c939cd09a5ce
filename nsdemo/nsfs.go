package nsdemo

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Namespace is what the ioctls of a namespace file tell (ioctl_ns(2)).
type Namespace struct {
	Kind  Kind
	Inode uint64
	// OwnerNS is the user namespace that owns this one: capabilities over it are
	// asked for there. 0 where the reader may not know (it is not below his own).
	OwnerNS uint64
	// ParentNS is the next one up, of user and pid namespaces only; 0 where there is none to be seen.
	ParentNS uint64
	// OwnerUID is who made it, of user namespaces only; -1 else.
	OwnerUID int
}

// Inspect asks the namespace file of a process: NS_GET_NSTYPE, NS_GET_USERNS,
// NS_GET_PARENT and NS_GET_OWNER_UID of ioctl_ns(2), Linux 4.11 and up.
func Inspect(procRoot string, pid int, k Kind) (Namespace, error) {
	return InspectFile(k.File(procRoot, pid))
}

// InspectFile asks any namespace file, such as a pinned one.
func InspectFile(path string) (Namespace, error) {
	f, err := os.Open(path)
	if err != nil {
		return Namespace{}, err
	}
	defer f.Close()
	flag, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE)
	if err != nil {
		return Namespace{}, fmt.Errorf("ioctl(%s, NS_GET_NSTYPE): %w (not a namespace file?)", path, err)
	}
	ns := Namespace{OwnerUID: -1}
	for _, fact := range kindFacts {
		if fact.flag == uintptr(flag) {
			ns.Kind = fact.kind
		}
	}
	if ns.Inode, err = inodeOf(int(f.Fd())); err != nil {
		return Namespace{}, fmt.Errorf("fstat %s: %w", path, err)
	}
	return ns, ns.askRelations(int(f.Fd()), path)
}

func (ns *Namespace) askRelations(fd int, path string) (err error) {
	if ns.OwnerNS, err = related(fd, unix.NS_GET_USERNS); err != nil {
		return fmt.Errorf("ioctl(%s, NS_GET_USERNS): %w", path, err)
	}
	if ns.Kind == User || ns.Kind == PID {
		if ns.ParentNS, err = related(fd, unix.NS_GET_PARENT); err != nil {
			return fmt.Errorf("ioctl(%s, NS_GET_PARENT): %w", path, err)
		}
	}
	if ns.Kind == User {
		uid, err := unix.IoctlGetUint32(fd, unix.NS_GET_OWNER_UID)
		if err != nil {
			return fmt.Errorf("ioctl(%s, NS_GET_OWNER_UID): %w", path, err)
		}
		ns.OwnerUID = int(uid)
	}
	return nil
}

// related follows an ioctl that opens another namespace. EPERM means that it is
// above the caller's own, or that there is none, and is no failure.
func related(fd int, ask uint) (uint64, error) {
	other, err := unix.IoctlRetInt(fd, ask)
	if errors.Is(err, unix.EPERM) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer unix.Close(other)
	return inodeOf(other)
}

func inodeOf(fd int) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}
