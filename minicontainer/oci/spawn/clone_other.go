//go:build !amd64

package spawn

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// canShare: a child that shared the stack would return from clone, and overwrite
// what its parent still has to return to.
const canShare = false

// clone is clone3(2), for a child that has a copy of the memory.
//
//go:norace
//go:nosplit
func clone(args *cloneArgs, size uintptr) (pid, errno uintptr) {
	p, _, e := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(args)), size, 0)
	return p, uintptr(e)
}
