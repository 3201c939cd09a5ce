package labs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// answer is what the kernel answered to a call: that it works, the name of the
// errno, or what else went wrong.
func answer(err error) string {
	var errno unix.Errno
	switch {
	case err == nil:
		return "works"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}
