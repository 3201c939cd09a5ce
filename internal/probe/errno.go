package probe

import (
	"errors"

	"golang.org/x/sys/unix"
)

// A verdict says what the errnos of one particular call mean. The same
// number means different things for different calls: EINVAL from
// unshare(flag) is "no such namespace", EINVAL from openat2(size 0) is "I know
// this call, and that size is wrong".
type verdict struct {
	present []unix.Errno // the call got past the point where a kernel without it stops
	absent  []unix.Errno // this kernel does not have it
	off     []unix.Errno // it is built, and switched off
}

// decode turns the outcome of a call into a state.
// EPERM and EACCES are never evidence about the kernel, and ENOSPC is a
// namespace limit, unless the verdict claims them.
func (v verdict) decode(err error) State {
	if err == nil {
		return Yes
	}
	var e unix.Errno
	if !errors.As(err, &e) {
		return Unknown
	}
	switch {
	case contains(v.present, e):
		return Yes
	case contains(v.absent, e):
		return No
	case contains(v.off, e):
		return Off
	case e == unix.ENOSYS:
		return No
	case e == unix.EPERM || e == unix.EACCES || e == unix.EROFS:
		return Denied
	case e == unix.ENOSPC || e == unix.EUSERS:
		return Limit
	}
	return Unknown
}

func contains(list []unix.Errno, e unix.Errno) bool {
	for _, x := range list {
		if x == e {
			return true
		}
	}
	return false
}

// errnoName returns "EINVAL" for an error that holds one, its text when it
// holds none, and "" for nil.
func errnoName(err error) string {
	if err == nil {
		return ""
	}
	var e unix.Errno
	if !errors.As(err, &e) {
		return err.Error()
	}
	if e == unix.EOPNOTSUPP {
		return "EOPNOTSUPP" // the same number as ENOTSUP, which the table would say
	}
	if name := unix.ErrnoName(e); name != "" {
		return name
	}
	return e.Error()
}

// Verdicts that many rows share.
var (
	absentEINVAL = verdict{absent: []unix.Errno{unix.EINVAL}}
	reached      = verdict{present: []unix.Errno{unix.EINVAL, unix.EFAULT, unix.EBADF, unix.ENOENT, unix.ECHILD}}
	driver       = verdict{absent: []unix.Errno{unix.ENODEV, unix.ENXIO, unix.ENOENT}}
)
