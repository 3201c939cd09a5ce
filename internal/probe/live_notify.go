package probe

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Structures and requests of linux/seccomp.h that x/sys does not have.
type (
	notification struct {
		id         uint64
		pid, flags uint32
		data       [64]byte // struct seccomp_data
	}
	notifyAnswer struct {
		id    uint64
		value int64
		errno int32
		flags uint32
	}
	notifyAddFD struct {
		id                          uint64
		flags, srcFD, newFD, fdFlag uint32
	}
)

const (
	notifyRecv       = 0xc0502100
	notifySend       = 0xc0182101
	notifyAddRequest = 0x40182103
	answerContinue   = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE
)

// seccompNotify lets a thread trap on dup(2), and answers the trap from
// another one: "continue" lets the call happen, "addfd" puts a file descriptor
// into the caller instead. The filter dies with its thread.
func seccompNotify(_ *stage, how string) Finding {
	listener, result := make(chan int, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the filter must not outlive this
		fd, err := trapDup()
		if err != nil {
			listener <- -1
			result <- err
			return
		}
		listener <- fd
		_, _, e := unix.RawSyscall(unix.SYS_DUP, 0, 0, 0)
		result <- errno(e)
	}()
	fd := <-listener
	if fd < 0 {
		return asked("seccomp(SET_MODE_FILTER, NEW_LISTENER)", <-result, absentEINVAL)
	}
	defer unix.Close(fd)
	f := answerTrap(fd, how)
	if f.State != Yes {
		return f // closing the listener lets the trapped thread go with ENOSYS
	}
	<-result
	return f
}

// trapDup installs the filter: dup goes to the listener, all else is allowed.
func trapDup() (int, error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, err
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},                           // system call number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: unix.SYS_DUP}, //
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},               // hand over
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	return int(fd), errno(e)
}

// answerTrap receives the trap and answers it.
func answerTrap(fd int, how string) Finding {
	var n notification
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), notifyRecv, uintptr(unsafe.Pointer(&n))); e != 0 {
		return asked("ioctl(SECCOMP_IOCTL_NOTIF_RECV)", e, verdict{})
	}
	reply := notifyAnswer{id: n.id}
	f := Finding{State: Yes}
	if how == "addfd" {
		add := notifyAddFD{id: n.id, srcFD: uint32(os.Stdin.Fd())}
		got, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), notifyAddRequest, uintptr(unsafe.Pointer(&add)))
		f = asked("ioctl(SECCOMP_IOCTL_NOTIF_ADDFD)", errno(e), absentEINVAL)
		if e == 0 {
			defer unix.Close(int(got)) // same process, so it is our table that it is in
		}
		reply.value = int64(got)
		if e != 0 {
			reply.value, reply.errno = 0, -int32(unix.EPERM)
		}
	} else {
		reply.flags = answerContinue
	}
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), notifySend, uintptr(unsafe.Pointer(&reply)))
	if f.State != Yes {
		return f
	}
	f.Evidence = append(f.Evidence, asked("ioctl(SECCOMP_IOCTL_NOTIF_SEND "+how+")", errno(e), absentEINVAL).Evidence...)
	f.State = absentEINVAL.decode(errno(e))
	return f
}
