package seccomp

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Load puts the filter on the calling thread (seccomp(2),
// SECCOMP_SET_MODE_FILTER). It needs no_new_privs or CAP_SYS_ADMIN, cannot be
// taken back, and goes on to what the thread executes. Where the filter
// notifies, the listener's descriptor is returned; -1 otherwise.
func (f *Filter) Load() (int, error) {
	prog := unix.SockFprog{Len: uint16(len(f.Program)), Filter: &f.Program[0]}
	flags := f.Flags
	if f.Notify {
		flags |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(f)
	if errno != 0 {
		return -1, fmt.Errorf("seccomp SECCOMP_SET_MODE_FILTER flags=%#x, %d instructions: %w", flags, prog.Len, errno)
	}
	if !f.Notify {
		return -1, nil
	}
	return int(fd), nil
}
