package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// A seccomp filter may put the question whether a call is allowed to another
// process, the agent: the caller waits while the agent reads what it wants from
// the listener, does it or not, and answers (seccomp_unotify(2)). The listener
// comes into being in the container, with the filter; the agent is on the host:
//
//	init      seccomp(2) -> descriptor 7 -- write "it is 7" --> runtime
//	runtime   pidfd_getfd(2) of 7 -- sendmsg(2), SCM_RIGHTS --> listenerPath
//
// All that init says after the load it says by write(2), which is why a filter
// may not notify of that.

func (m *making) sendListener(number int) error {
	return sendListener(m.Spec.Linux.Seccomp, m.Pid, m.hookState(specs.StateCreating), number)
}

func (j *joining) sendListener(number int) error {
	return sendListener(j.Spec.Linux.Seccomp, j.stage.pid, j.hookState(specs.StateRunning), number)
}

// sendListener takes the listener out of the process pid and gives it to the
// agent, with the container process state of the runtime specification.
func sendListener(s *specs.LinuxSeccomp, pid int, state specs.State, number int) error {
	listener, err := takeDescriptor(pid, number)
	if err != nil {
		return fmt.Errorf("seccomp listener: %w", err)
	}
	defer listener.Close()
	text, err := json.Marshal(specs.ContainerProcessState{Version: specs.Version, Fds: []string{specs.SeccompFdName},
		Pid: pid, Metadata: s.ListenerMetadata, State: state})
	if err != nil {
		return err
	}
	agent, err := dialSocket("seccomp agent", s.ListenerPath)
	if err != nil {
		return fmt.Errorf("failed to connect with seccomp agent specified in the seccomp profile: %w", err)
	}
	defer agent.Close()
	if err := unix.Sendmsg(int(agent.Fd()), text, unix.UnixRights(int(listener.Fd())), nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("sendmsg to the seccomp agent at %s: %w", s.ListenerPath, err)
	}
	return nil
}

// takeDescriptor duplicates an open file of another process (pidfd_getfd(2)):
// it takes the rights of a debugger over that process.
func takeDescriptor(pid, number int) (*os.File, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("pidfd_open(%d): %w", pid, err)
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, number, 0)
	if errors.Is(err, unix.ENOSYS) {
		return nil, fmt.Errorf("pidfd_getfd: %w: it takes Linux 5.6", err)
	}
	if err != nil {
		return nil, fmt.Errorf("pidfd_getfd(process %d, descriptor %d): %w", pid, number, err)
	}
	return os.NewFile(uintptr(fd), "seccomp listener"), nil
}
