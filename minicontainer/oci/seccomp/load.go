package seccomp

import (
	"fmt"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/script"
)

// Load adds the call that puts the filter on who performs the script
// (seccomp(2), SECCOMP_SET_MODE_FILTER). It needs no_new_privs or CAP_SYS_ADMIN,
// cannot be taken back, and goes on to what is executed. Where the filter
// notifies, the result is the listener's descriptor.
func (f *Filter) Load(s *script.Script) *script.Call {
	flags := f.Flags
	if f.Notify {
		flags |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}
	prog := s.Words(script.Int(len(f.Program)), s.Bytes(instructions(f.Program))) // struct sock_fprog
	return s.Call("seccomp", unix.SYS_SECCOMP, script.Int(unix.SECCOMP_SET_MODE_FILTER), script.Int(flags), prog).
		Explain(func(errno unix.Errno) error {
			return fmt.Errorf("seccomp SECCOMP_SET_MODE_FILTER flags=%#x, %d instructions: %w", flags, len(f.Program), errno)
		})
}

// Notifies says whether there is a filter that asks an agent.
func (f *Filter) Notifies() bool { return f != nil && f.Notify }
