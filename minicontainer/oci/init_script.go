package oci

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/script"
)

// The parts of the scripts that are neither about who the process is
// (init_user.go) nor about its program (init_exec.go).

// arrive is what the process does first, wherever it is built.
func (b *box) arrive(s *script.Script) {
	b.closeInherited(s)
	b.newSession(s)     // no terminal of the host, no keys of the host
	b.unshareCgroups(s) // now that the process is in its cgroups
}

// closeInherited marks every descriptor to close at an exec (close_range(2)):
// the program's. One that leads to a folder of the host is a way out of the
// container (CVE-2024-21626).
func (b *box) closeInherited(s *script.Script) {
	s.Call("close_range CLOSE_RANGE_CLOEXEC", unix.SYS_CLOSE_RANGE, script.Int(3), script.Int(uint32(math.MaxUint32)),
		script.Int(unix.CLOSE_RANGE_CLOEXEC))
}

// newSession leaves the session of the caller, its terminal (setsid(2)) and its
// keys (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING).
func (b *box) newSession(s *script.Script) {
	s.Call("setsid", unix.SYS_SETSID).Allow(unix.EPERM)
	if !b.keyring {
		return
	}
	// Not every kernel has keyrings, and a full quota is no reason to fail.
	s.Call("keyctl KEYCTL_JOIN_SESSION_KEYRING", unix.SYS_KEYCTL, script.Int(unix.KEYCTL_JOIN_SESSION_KEYRING),
		s.String("_ses."+b.state.ID)).Allow(unix.ENOSYS, unix.EDQUOT)
}

// unshareCgroups makes the group that this process is in the root of its view
// of all hierarchies (unshare(2), CLONE_NEWCGROUP).
func (b *box) unshareCgroups(s *script.Script) {
	if !b.joins && newNamespace(b.spec, specs.CgroupNamespace) {
		s.Call("unshare CLONE_NEWCGROUP", unix.SYS_UNSHARE, script.Int(unix.CLONE_NEWCGROUP))
	}
}

// reportReady is the end of create: every error that can be known is known.
func (b *box) reportReady(s *script.Script) { b.say(s, reply{Ready: true}) }

// say sends a message to the runtime.
func (b *box) say(s *script.Script, r reply) {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // no value of a reply is without a text
	}
	message := frame(text)
	s.Call("write to the runtime", unix.SYS_WRITE, script.Int(b.wire), s.Bytes(message), script.Int(len(message)))
}

// hear waits for the runtime's answer, which says no more than that there is one.
func (b *box) hear(s *script.Script) {
	const room = 64
	s.Call("read from the runtime", unix.SYS_READ, script.Int(b.wire), s.Bytes(make([]byte, room)), script.Int(room)).NoEnd()
}

// awaitStart waits for the one byte of start, or for end of file with the
// death of everybody who could send it (read(2) on exec.fifo).
func (b *box) awaitStart(s *script.Script) {
	if b.joins {
		return
	}
	s.Call("read exec.fifo", unix.SYS_READ, script.Int(b.fifo.Fd()), s.Bytes(make([]byte, 8)), script.Int(1)).NoEnd()
}

func (b *box) hasStartHooks() bool { return !b.joins && len(hookLists(b.spec).StartContainer) > 0 }

// startHooks runs those that belong between start and the program.
func (b *box) startHooks(s *script.Script) {
	if !b.hasStartHooks() {
		return
	}
	hooks := hookLists(b.spec).StartContainer
	s.Act("start hooks", func() error {
		if err := runHooks("startContainer", "/", hooks, b.state.hookState(specs.StateCreated)); err != nil {
			return fmt.Errorf("start hooks: %w", err)
		}
		return nil
	})
}

// takeTerminal makes it the controlling terminal of this session (ioctl_tty(2),
// TIOCSCTTY) and the three standard files.
func (b *box) takeTerminal(s *script.Script) {
	if !b.process.Terminal {
		return
	}
	slave := script.Int(b.slave.Fd())
	if b.terminal != nil {
		slave = *b.terminal
	}
	s.Call("ioctl TIOCSCTTY", unix.SYS_IOCTL, slave, script.Int(unix.TIOCSCTTY), script.Int(0))
	for fd := range 3 {
		s.Call(fmt.Sprintf("dup3 onto %d", fd), unix.SYS_DUP3, slave, script.Int(fd), script.Int(0))
	}
}

// bytesOf is a struct as it lies in memory.
func bytesOf[T any](v *T) []byte {
	return append([]byte{}, unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))...)
}

// wordsOf are 32-bit numbers as they lie in memory.
func wordsOf(list []uint32) []byte {
	var out []byte
	for _, n := range list {
		out = binary.NativeEndian.AppendUint32(out, n)
	}
	return out
}
