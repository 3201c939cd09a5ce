package spawn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/internal/slack"
)

// TestMain lets this test binary play the program that starts itself again.
func TestMain(m *testing.M) {
	if os.Args[0] == "spawn-child" {
		fmt.Printf("uid %d gid %d pid %d\n", os.Getuid(), os.Getgid(), os.Getpid())
		up, _ := os.ReadFile("/proc/uptime")
		fmt.Printf("uptime %s", up)
		session, _ := unix.Getsid(0)
		fmt.Printf("session %d\n", session)
		late, _ := os.ReadFile("/proc/self/timerslack_ns")
		fmt.Printf("slack %s", late)
		_, err := unix.FcntlInt(inheritedFD, unix.F_GETFD, 0)
		fmt.Printf("inherited %v\n", err == nil)
		os.Exit(7)
	}
	os.Exit(m.Run())
}

// inheritedFD is open, without a mark to close at an exec, where a test wants it.
const inheritedFD = 200

// play starts the child and returns what it printed and its exit status.
func play(t *testing.T, p Process) (string, int) {
	t.Helper()
	needs.Root(t)
	exe, err := Sealed()
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p.Exe, p.Argv, p.Env = exe, []string{"spawn-child"}, []string{"GOGC=off"}
	p.Stdio = [3]*os.File{os.Stdin, w, w}
	pid, err := Start(p)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil {
		t.Fatalf("wait4(%d): %v; the process must be a child of the caller", pid, err)
	}
	return string(out), ws.ExitStatus()
}

func TestStart(t *testing.T) {
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 10}}
	tests := []struct {
		name string
		p    Process
		want string
	}{
		{"no namespace", Process{}, "uid 0 gid 0"},
		{"pid", Process{New: unix.CLONE_NEWPID | unix.CLONE_NEWNS}, "pid 1\n"},
		{"user", Process{New: unix.CLONE_NEWUSER | unix.CLONE_NEWPID, UIDs: maps, GIDs: maps}, "uid 0 gid 0 pid 1\n"},
		{"time", Process{New: unix.CLONE_NEWTIME | unix.CLONE_NEWPID, TimeOffsets: "boottime 900000000 0\n"}, "uptime 90"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, code := play(t, test.p)
			if code != 7 || !strings.Contains(out, test.want) {
				t.Errorf("child printed %q and exited %d; want %q and 7", out, code, test.want)
			}
		})
	}
}

// TestStartSlack forks on a thread whose timers may be late: the child's must not.
func TestStartSlack(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 5_000_000, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	out, _ := play(t, Process{})
	if want := fmt.Sprintf("slack %d\n", slack.Inherited()); !strings.Contains(out, want) {
		t.Errorf("the child printed %q; want %q", out, want)
	}
}

// TestStartJoinsUser enters the user namespace of another process: what a
// program with several threads is refused.
func TestStartJoinsUser(t *testing.T) {
	needs.Root(t)
	exe, err := Sealed()
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	r, w, _ := os.Pipe()
	defer r.Close()
	defer w.Close()
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 10}}
	sleeper, err := sleep(maps)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { unix.Kill(sleeper, unix.SIGKILL); reap(sleeper) }()
	var join []Namespace
	for _, kind := range []string{"user", "uts", "pid"} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", sleeper, kind))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		join = append(join, Namespace{File: f})
	}
	out, code := play(t, Process{Join: join, Root: true})
	if code != 7 || !strings.Contains(out, "uid 0 gid 0 pid 2\n") {
		t.Errorf("child printed %q and exited %d; want pid 2 of the joined namespaces and 7", out, code)
	}
}

// sleep starts a process that holds new namespaces open.
func sleep(maps []specs.LinuxIDMapping) (int, error) {
	exe, err := os.Open("/bin/sleep")
	if err != nil {
		return 0, err
	}
	defer exe.Close()
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	return Start(Process{Exe: exe, Argv: []string{"sleep", "60"}, Env: []string{"A=b"}, UIDs: maps, GIDs: maps,
		New: unix.CLONE_NEWUSER | unix.CLONE_NEWUTS | unix.CLONE_NEWPID, Stdio: [3]*os.File{null, null, null}})
}

// TestStartErrors wants the failed step and the errno, and no process left.
func TestStartErrors(t *testing.T) {
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p := Process{Exe: null, Argv: []string{"x"}, Env: []string{"A=b"}, Stdio: [3]*os.File{null, null, null}}
	if _, err := Start(p); !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), "execveat") {
		t.Errorf("Start(/dev/null) = %v; want EACCES from execveat", err)
	}
	p.Join = []Namespace{{File: null}}
	if _, err := Start(p); !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "setns") {
		t.Errorf("Start(join /dev/null) = %v; want EINVAL from setns", err)
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("wait4(-1) = %v; want ECHILD, no child may be left", err)
	}
}

// TestSealed tries to write to the binary through every door.
func TestSealed(t *testing.T) {
	openers := map[string]func() (*os.File, error){
		"overlay": func() (*os.File, error) {
			path, err := os.Readlink("/proc/self/exe")
			if err != nil {
				return nil, err
			}
			return sealedByOverlay(path)
		},
		"copy": func() (*os.File, error) { return sealedCopy("/proc/self/exe") },
	}
	for name, open := range openers {
		t.Run(name, func(t *testing.T) {
			f, err := open()
			if errors.Is(err, unix.EPERM) {
				needs.Root(t) // to root it is a failure
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			w, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_WRONLY, 0)
			if err == nil {
				_, err = w.Write([]byte("x"))
				w.Close()
			}
			if !errors.Is(err, unix.EROFS) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ETXTBSY) {
				t.Errorf("writing to the sealed binary = %v; want EROFS, EPERM or ETXTBSY", err)
			}
		})
	}
}

func TestFormatMap(t *testing.T) {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}, {ContainerID: 1, HostID: 100000, Size: 65535}}
	if got, want := FormatMap(ids), "0 1000 1\n1 100000 65535\n"; got != want {
		t.Errorf("FormatMap(%v) = %q; want %q", ids, got, want)
	}
}

func TestFlagNames(t *testing.T) {
	if got, want := FlagNames(unix.CLONE_NEWNS|unix.CLONE_NEWPID), "CLONE_NEWNS|CLONE_NEWPID"; got != want {
		t.Errorf("FlagNames = %q; want %q", got, want)
	}
}

// TestStartOrphan starts a process that is nobody's child here, and reads to its end.
func TestStartOrphan(t *testing.T) {
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := unix.Dup3(int(w.Fd()), inheritedFD, 0); err != nil {
		t.Fatal(err)
	}
	pid, err := Start(Process{Exe: exe, Argv: []string{"spawn-child"}, Env: []string{"GOGC=off"}, Orphan: true, Session: true,
		Stdio: [3]*os.File{os.Stdin, w, w}})
	unix.Close(inheritedFD)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.ECHILD {
		t.Errorf("wait4 of the orphan = %v; want ECHILD", err)
	}
	out, err := io.ReadAll(r)
	if want := fmt.Sprintf("session %d\n", pid); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("the orphan printed %q, %v; want %q", out, err, want)
	}
	if !strings.Contains(string(out), "inherited false\n") {
		t.Errorf("the orphan printed %q; what the caller was started with must not be open there", out)
	}
}
