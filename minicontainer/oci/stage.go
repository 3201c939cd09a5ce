package oci

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/rootfs"
	"cutaway/minicontainer/oci/script"
	"cutaway/minicontainer/oci/spawn"
)

// stage is the process that becomes the user's program, until it has. It is
// born in the container's namespaces, and has to be built around there.
//
// Mostly a thread of the runtime does that: it enters the namespaces, mounts
// what there is to mount, and leaves a script behind (package script) that the
// process performs, down to the execve.
//
//	runtime                     its visiting thread         stage
//	  | clone, in all namespaces ------------------------->  leaves the session, opens procfs
//	  | <--------------------------------------- build ----|
//	  | --------------------------> setns
//	  |                             mounts, devices, pivot
//	  |                             second script
//	  | -- go, the terminal ------------------------------>  identity ...
//	  | <------------------------------------ listener ----|  only of a filter that notifies
//	  | <------------------ ready, or the failed call -----|
//	  | <-- end of file, or the failed call ---------------|  at the exec
//
// A thread cannot enter a user namespace, and what it starts would not be in the
// container's pid namespace, as hooks in the container have to be. So where
// there are such, the stage is this program again and builds from the inside
// (init_inside.go).
type stage struct {
	*box
	near, far wire
	pid       int
	listener  func(number int) error // gives it to its agent
	meanwhile func() error           // what can be done while the last script is performed

	exe    *os.File       // what performs the scripts
	memory *script.Memory // of the scripts; nil where the stage is this program
	now    *script.Script // which of them is performed
	procs  []*script.Call // the first one's fsopen of every procfs to mount
}

// newStage prepares one for a container that is described from outside.
func newStage(b *box, visited bool) (*stage, error) {
	near, far, err := newWire()
	if err != nil {
		return nil, err
	}
	s := &stage{box: b, near: near, far: far}
	b.wire = number(far.f)
	if visited {
		err = s.openScripts()
	}
	if err != nil {
		near.f.Close()
		s.close()
		return nil, err
	}
	return s, nil
}

// openScripts makes what performs scripts, unless the system forbids programs
// that are in memory only (sysctl vm.memfd_noexec=2): then it is this program.
func (s *stage) openScripts() error {
	memory, err := script.NewMemory()
	if err != nil {
		return err
	}
	s.exe, err = script.Image(s.wire, number(memory.File))
	if err != nil {
		memory.File.Close()
	}
	if errors.Is(err, unix.EACCES) {
		return nil
	}
	if err != nil {
		return err
	}
	s.memory, s.fsopen = memory, s.takeContext
	s.proc, err = rootfs.OpenProc("/proc")
	return err
}

// start starts it. p says where.
func (s *stage) start(g *groups, p spawn.Process) error {
	exe, err := s.executable()
	if err != nil {
		return err
	}
	defer exe.Close()
	p.Exe, p.Argv, p.Env, p.Keep = exe, initArgv(s.far), s.env(), s.inherited()
	if s.pid, err = g.start(p); err != nil {
		return fmt.Errorf("unable to start container process: %w", err)
	}
	return s.far.f.Close() // only the stage holds it now: its death is our end of file
}

func (s *stage) executable() (*os.File, error) {
	if s.memory == nil {
		return spawn.Sealed()
	}
	if err := s.memory.Write(script.First, s.first()); err != nil {
		return nil, err
	}
	return s.exe, nil
}

// first is what the stage does until it is built around.
func (s *stage) first() *script.Script {
	s.now = &script.Script{}
	s.arrive(s.now)
	if !s.joins {
		for _, m := range s.spec.Mounts {
			if m.Type == "proc" {
				s.procs = append(s.procs, s.now.Call("fsopen proc", unix.SYS_FSOPEN, s.now.String(m.Type), script.Int(unix.FSOPEN_CLOEXEC)))
			}
		}
	}
	s.say(s.now, reply{Ask: askBuild})
	rights := s.now.Bytes(make([]byte, unix.CmsgSpace(4)))
	s.now.Call("recvmsg from the runtime", unix.SYS_RECVMSG, script.Int(s.wire), messageHeader(s.now, rights, unix.CmsgSpace(4)),
		script.Int(unix.MSG_CMSG_CLOEXEC)).NoEnd()
	s.now.Jump(script.Second.Address())
	slave := s.now.Placed(script.First, rights.At(unix.CmsgLen(0))).Loaded()
	s.terminal = &slave
	return s.now
}

// messageHeader is a struct msghdr for one byte and the descriptor beside it.
func messageHeader(s *script.Script, rights script.Arg, room int) script.Arg {
	vector := s.Words(s.Bytes(make([]byte, 8)), script.Int(1))
	return s.Words(script.Int(0), script.Int(0), vector, script.Int(1), rights, script.Int(room), script.Int(0))
}

// takeContext takes the next context that the stage opened.
func (s *stage) takeContext(string) (*os.File, error) {
	if len(s.procs) == 0 {
		return nil, errors.New("none was opened by the container's process")
	}
	fd, err := s.memory.Result(script.First, s.procs[0])
	if err != nil {
		return nil, err
	}
	s.procs = s.procs[1:]
	return takeDescriptor(s.pid, fd)
}

// inherited are the descriptors that the stage uses by their numbers.
func (s *stage) inherited() []*os.File {
	all := []*os.File{s.far.f, s.fifo}
	if s.memory != nil {
		all = append(all, s.memory.File, s.proc.File())
	} else {
		all = append(append(all, s.tree, s.console), s.sources...)
	}
	var keep []*os.File
	for _, f := range all {
		if f != nil {
			keep = append(keep, f)
		}
	}
	return keep
}

// finish has the container built, until only the program is missing. pidfd and
// kinds are the namespaces that a visitor enters.
func (s *stage) finish(pidfd *os.File, kinds uintptr) error {
	if s.memory == nil {
		if err := s.sendOrders(); err != nil {
			return err
		}
		return s.attend()
	}
	if err := s.attend(); err != nil { // until it asks to be built around
		return err
	}
	err := visit(pidfd, kinds, func() error {
		if err := s.build(); err != nil {
			return err
		}
		return s.rehearse()
	})
	if err != nil {
		return fmt.Errorf("unable to start container process: %w", initError(err))
	}
	s.now = s.orders()
	if err := s.memory.Write(script.Second, s.now); err != nil {
		return err
	}
	if err := s.release(); err != nil {
		return err
	}
	if s.meanwhile != nil {
		if err := s.meanwhile(); err != nil {
			return err
		}
	}
	return s.attend()
}

// release lets the stage go on to the second script, and gives it its terminal.
func (s *stage) release() error {
	var rights []byte
	if s.slave != nil {
		rights = unix.UnixRights(int(s.slave.Fd()))
	}
	if err := unix.Sendmsg(int(s.near.f.Fd()), []byte{0}, rights, nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("sendmsg to the init stage: %w", err)
	}
	return nil
}

// end kills and reaps it.
func (s *stage) end() error {
	if s.pid == 0 {
		return nil
	}
	unix.Kill(s.pid, unix.SIGKILL)
	_, err := unix.Wait4(s.pid, nil, 0, nil)
	return err
}

// close lets go of all that only the making needed; the wire's near end stays.
// Not left to the garbage collector: a shim lives on, and the root of a container
// that is open there keeps its file system in use.
func (s *stage) close() {
	closeAll([]*os.File{s.far.f, s.slave, s.exe})
	if s.memory != nil {
		s.memory.File.Close()
	}
	if s.proc != nil {
		s.proc.File().Close()
	}
	if s.cover != nil {
		s.cover.Close()
	}
	if s.root != nil {
		s.root.Close()
	}
}

// canVisit says whether a thread of the runtime can build a container of these
// kinds of namespace, with these hooks.
func canVisit(kinds uintptr, hooks specs.Hooks) bool {
	return script.Available && kinds&unix.CLONE_NEWUSER == 0 && len(hooks.CreateContainer)+len(hooks.StartContainer) == 0
}
