package api

import (
	"os"

	"golang.org/x/sys/unix"
)

// duplicate makes a second descriptor of an open file (fcntl(2),
// F_DUPFD_CLOEXEC), without making it blocking; nil of nil.
func duplicate(f *os.File) (*os.File, error) {
	if f == nil {
		return nil, nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var dupErr error
	if err := raw.Control(func(have uintptr) { fd, dupErr = unix.FcntlInt(have, unix.F_DUPFD_CLOEXEC, 3) }); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", dupErr)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
