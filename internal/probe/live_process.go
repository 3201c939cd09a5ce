package probe

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A bogus is a call with an argument that no kernel can accept. A kernel that
// has the call gets as far as that argument and says so; one that has not
// says ENOSYS. Nothing is changed either way.
type bogus struct {
	text string
	call func() error
	v    verdict
}

// bogusCalls is keyed by Probe.Live's argument.
func bogusCalls() map[string]bogus {
	none := ^uintptr(0) // -1, no file descriptor
	return map[string]bogus{
		"clone3":            {"clone3(NULL, 0)", raw(unix.SYS_CLONE3), reached},
		"clone3-cgroup":     {"clone3(CLONE_INTO_CGROUP, cgroup=/dev/null)", clone3Cgroup, verdict{present: []unix.Errno{unix.EBADF}, absent: []unix.Errno{unix.E2BIG, unix.EINVAL}}},
		"pidfd_open":        {"pidfd_open(self, 0)", func() error { return withPidfd(nil) }, verdict{}},
		"pidfd_send_signal": {"pidfd_send_signal(self, 0)", func() error { return withPidfd(pidfdSignal) }, verdict{}},
		"pidfd_wait":        {"waitid(P_PIDFD, self)", func() error { return withPidfd(pidfdWait) }, verdict{present: []unix.Errno{unix.ECHILD}, absent: []unix.Errno{unix.EINVAL}}},
		"pidfd_getfd":       {"pidfd_getfd(self, 0)", func() error { return withPidfd(pidfdGetfd) }, verdict{}},
		"open_tree":         {`open_tree(-1, "", AT_EMPTY_PATH)`, rawPath(unix.SYS_OPEN_TREE, none, unix.AT_EMPTY_PATH), reached},
		"fsopen":            {`fsopen("cutaway-no-such-fs")`, fsopenBogus, verdict{present: []unix.Errno{unix.ENODEV}}},
		"fspick":            {`fspick(-1, "")`, rawPath(unix.SYS_FSPICK, none, 0), reached},
		"move_mount":        {"move_mount(-1, -1)", moveMountBogus, reached},
		"mount_setattr":     {"mount_setattr(size 0)", rawPath(unix.SYS_MOUNT_SETATTR, none, 0), reached},
		"openat2":           {"openat2(size 0)", rawPath(unix.SYS_OPENAT2, none, 0), reached},
		"keyctl":            {"keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING)", sessionKeyring, verdict{present: []unix.Errno{unix.ENOKEY}}},
	}
}

// bogusCall makes one of the calls.
func bogusCall(s *stage, name string) Finding {
	b := bogusCalls()[name]
	f := asked(b.text, b.call(), b.v)
	if f.State == No && s.Filter {
		// A container's seccomp profile answers ENOSYS for calls it does not
		// know, clone3 before all, whatever the kernel has.
		f.State = Unknown
		f.Reason = "a seccomp filter is active and may answer ENOSYS in the kernel's place"
	}
	return f
}

// raw makes a call with zeros for all arguments.
func raw(number uintptr) func() error {
	return func() error {
		_, _, e := unix.Syscall6(number, 0, 0, 0, 0, 0, 0)
		return errno(e)
	}
}

// rawPath makes a call that begins with a directory fd, a path ("") and flags.
func rawPath(number, dirfd, flags uintptr) func() error {
	return func() error {
		fd, _, e := unix.Syscall6(number, dirfd, uintptr(unsafe.Pointer(&[]byte{0}[0])), flags, 0, 0, 0)
		if e == 0 {
			unix.Close(int(fd))
		}
		return errno(e)
	}
}

// errno makes an error of what a raw call returned: Errno(0) is not nil.
func errno(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// cloneArgs is struct clone_args up to the field cgroup, linux/sched.h.
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls, setTID, setTIDSize, cgroup uint64
}

// clone3Cgroup asks for a child in a cgroup that is none: there never is a child.
func clone3Cgroup() error {
	null, err := os.Open("/dev/null")
	if err != nil {
		return err
	}
	defer null.Close()
	a := cloneArgs{flags: unix.CLONE_INTO_CGROUP, exitSignal: uint64(unix.SIGCHLD), cgroup: uint64(null.Fd())}
	_, _, e := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&a)), unsafe.Sizeof(a), 0)
	return errno(e)
}

// withPidfd opens a pidfd of this process and hands it on.
func withPidfd(f func(fd int) error) error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if f == nil {
		return nil
	}
	return f(fd)
}

func pidfdSignal(fd int) error { return unix.PidfdSendSignal(fd, 0, nil, 0) }

func pidfdWait(fd int) error { return unix.Waitid(unix.P_PIDFD, fd, nil, unix.WEXITED, nil) }

func pidfdGetfd(fd int) error {
	got, err := unix.PidfdGetfd(fd, 0, 0)
	if err == nil {
		unix.Close(got)
	}
	return err
}

// pidfdSetns enters, by pidfd, the net namespace that it is in already. It is
// the net namespace because a child in a user namespace owns a net namespace
// too, and only the owner may enter.
func pidfdSetns(*stage, string) Finding {
	return onThread(func() Finding {
		err := withPidfd(func(fd int) error { return unix.Setns(fd, unix.CLONE_NEWNET) })
		return asked("setns(pidfd of self, CLONE_NEWNET)", err, absentEINVAL)
	})
}

func fsopenBogus() error {
	fd, err := unix.Fsopen("cutaway-no-such-fs", unix.FSOPEN_CLOEXEC)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func moveMountBogus() error {
	return unix.MoveMount(-1, "", -1, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

func sessionKeyring() error {
	_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
	return err
}

// cloneIntoCgroup starts a process inside a cgroup: no moment outside of it.
func cloneIntoCgroup(*stage, string) Finding {
	return inTempCgroup("", func(dir string) Finding {
		fd, err := os.Open(dir)
		if err != nil {
			return asked("open("+dir+")", err, verdict{})
		}
		defer fd.Close()
		attr := &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(fd.Fd())}
		return performPart("cgroup", attr, verdict{absent: []unix.Errno{unix.E2BIG, unix.EINVAL}})
	})
}
