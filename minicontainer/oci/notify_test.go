package oci

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// seccompAgent takes the listeners that a runtime sends. It answers each mkdir
// with EDOM, which no file system says, and lets every other call go on.
type seccompAgent struct {
	t      *testing.T
	path   string
	mu     sync.Mutex
	states []specs.ContainerProcessState
}

func newSeccompAgent(t *testing.T) *seccompAgent {
	t.Helper()
	a := &seccompAgent{t: t, path: scratch(t) + "/agent"}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: a.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			a.take(conn)
			conn.Close()
		}
	}()
	return a
}

// take reads one message: the state, and the listener beside it.
func (a *seccompAgent) take(conn *net.UnixConn) {
	text, rights := make([]byte, 64<<10), make([]byte, unix.CmsgSpace(4*4))
	n, rn, _, _, err := conn.ReadMsgUnix(text, rights)
	if err != nil {
		a.t.Errorf("agent: %v", err)
		return
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rn])
	if err != nil || len(messages) != 1 {
		a.t.Errorf("agent: %d control messages, %v; want one", len(messages), err)
		return
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	var state specs.ContainerProcessState
	if err != nil || json.Unmarshal(text[:n], &state) != nil || len(fds) != len(state.Fds) {
		a.t.Errorf("agent: %s with %d descriptors, %v", text[:n], len(fds), err)
		return
	}
	a.mu.Lock()
	a.states = append(a.states, state)
	a.mu.Unlock()
	go answerCalls(fds[0])
}

// notification and verdict are struct seccomp_notif and seccomp_notif_resp.
type notification struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	rest  [7]uint64
}

type verdict struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// answerCalls ends when the last process with the filter has ended.
func answerCalls(fd int) {
	defer unix.Close(fd)
	for {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err == nil && ready[0].Revents&unix.POLLIN == 0 {
			return // POLLHUP
		}
		var n notification
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); errno != 0 {
			continue // ENOENT: a signal has interrupted the call meanwhile
		}
		v := verdict{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if n.nr == unix.SYS_MKDIR || n.nr == unix.SYS_MKDIRAT {
			v = verdict{id: n.id, errno: -int32(unix.EDOM)}
		}
		unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&v)))
	}
}

// said are the states in words that are the same each time: the number of the
// container's process is "init", any other "exec".
func (a *seccompAgent) said() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for _, s := range a.states {
		name := func(pid int) string {
			if pid == a.states[0].Pid {
				return "init"
			}
			return "exec"
		}
		all = append(all, fmt.Sprintf("%v of %s, %q; %s is %s, process %s, %v", s.Fds, name(s.Pid), s.Metadata, s.State.ID, s.State.Status, name(s.State.Pid), s.State.Annotations))
	}
	return all
}

// TestSeccompNotify has both runtimes hand listeners to an agent, of the
// container and of an exec, with and without no_new_privs.
func TestSeccompNotify(t *testing.T) {
	needs.Root(t)
	runc := needs.Program(t, "runc", "runc")
	root, dir := testRootfs(t), scratch(t)
	for _, c := range []struct {
		noNewPrivileges bool
		also            []string
	}{
		{false, nil},
		{true, nil},
		// What the runtime needs itself until the agent has the listener.
		{false, []string{"execve", "openat", "open", "read", "close", "dup3"}},
		{true, []string{"execve", "openat", "open", "read", "close", "dup3"}},
	} {
		t.Run(fmt.Sprintf("no new privileges %t, also %v", c.noNewPrivileges, c.also), func(t *testing.T) {
			ours, theirs := newSeccompAgent(t), newSeccompAgent(t)
			bundle := func(a *seccompAgent) string {
				return writeBundle(t, dir, root, variation{script: "mkdir /tmp/own 2>/dev/shm/new; mv /dev/shm/new /dev/shm/own; sleep 60", change: func(s *specs.Spec) {
					s.Process.NoNewPrivileges = c.noNewPrivileges
					s.Linux.CgroupsPath = "/" + group + "/notify"
					s.Annotations = map[string]string{"a": "b"}
					s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: a.path, ListenerMetadata: "about it",
						Syscalls: []specs.LinuxSyscall{{Names: append(c.also, "mkdir", "mkdirat"), Action: specs.ActNotify}}}
				}})
			}
			want := notified(t, theirs, bundle(theirs), func(verb string, args ...string) *exec.Cmd {
				return exec.Command(runc, append(runcVerb(verb, dir+"/runc", dir+"/bundle"), args...)...)
			})
			got := notified(t, ours, bundle(ours), func(verb string, args ...string) *exec.Cmd {
				return exec.Command("/proc/self/exe", append([]string{"play-runtime", verb, dir + "/cutaway", "cutaway-life", dir + "/bundle"}, args...)...)
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-runc +cutaway):\n%s", diff)
			}
			t.Logf("%s", strings.Join(got, "\n"))
		})
	}
}

// notified makes the container, executes a mkdir in it, and gives what came out
// and what the agent was told.
func notified(t *testing.T, a *seccompAgent, bundle string, command func(verb string, args ...string) *exec.Cmd) []string {
	t.Helper()
	// Files: a pipe would be waited for as long as the container has it.
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	errs, err := os.CreateTemp(t.TempDir(), "errs")
	if err != nil {
		t.Fatal(err)
	}
	defer errs.Close()
	defer command("delete-force").Run()
	for _, cmd := range []*exec.Cmd{command("create"), command("start"), command("exec", "/bin/sh", "-c", "until cat /dev/shm/own 2>/dev/null; do :; done; mkdir /tmp/made 2>&1; ls /tmp")} {
		cmd.Stdout, cmd.Stderr = out, errs
		if err := cmd.Run(); err != nil {
			text, _ := os.ReadFile(errs.Name())
			t.Fatalf("%v: %v: %s", cmd.Args, err, text)
		}
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return append(a.said(), string(text))
}
