package nsdemo_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"cutaway/internal/inside"
	"cutaway/internal/needs"
	"cutaway/nsdemo"
)

const proc = "/proc"

func TestMain(m *testing.M) {
	inside.Main()
	before := residue()
	code := m.Run()
	if after := residue(); after != before {
		os.Stderr.WriteString("left behind:\nbefore:\n" + before + "after:\n" + after)
		code = 1
	}
	os.Exit(code)
}

// residue is what a test of namespaces could leave on the machine: mounts,
// message queues, a hostname, children.
func residue() string {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	queues, _ := os.ReadFile("/proc/sysvipc/msg")
	posix, _ := nsdemo.MQList()
	name, _ := os.Hostname()
	var children strings.Builder
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		text, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		children.Write(text)
	}
	return string(mounts) + string(queues) + strings.Join(posix, " ") + name + "\nchildren: " + children.String() + "\n"
}

func start(t *testing.T, s nsdemo.Spec) *nsdemo.Process {
	t.Helper()
	if len(s.Kinds) > 0 {
		s = anyone(s)
	}
	p, err := nsdemo.Start(t.Context(), s)
	if err != nil {
		t.Fatalf("Start(%+v) = %v", s, err)
	}
	return closing(t, p)
}

// anyone adds the user namespace that an ordinary user needs for the others.
func anyone(s nsdemo.Spec) nsdemo.Spec {
	if os.Getuid() != 0 && !s.Has(nsdemo.User) {
		s.Kinds = append(s.Kinds[:len(s.Kinds):len(s.Kinds)], nsdemo.User)
	}
	return s
}

func join(t *testing.T, pid int, kinds ...nsdemo.Kind) *nsdemo.Process {
	t.Helper()
	if len(kinds) > 0 && os.Getuid() != 0 {
		kinds = append(kinds, nsdemo.User) // for the capability over the others
	}
	p, err := nsdemo.Join(t.Context(), pid, kinds...)
	if err != nil {
		t.Fatalf("Join(%d, %v) = %v", pid, kinds, err)
	}
	return closing(t, p)
}

func closing(t *testing.T, p *nsdemo.Process) *nsdemo.Process {
	t.Helper()
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return p
}

// must hands on a value, and ends the test on an error.
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shell runs a line of the kind that a learner types, in the background, and
// returns the pid of its process.
func shell(t *testing.T, argv ...string) int {
	t.Helper()
	needs.Program(t, argv[0], "util-linux")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	do(t, cmd.Start())
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
	return cmd.Process.Pid
}

// eventually waits for what another process does in its own time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("after a minute: not yet %s", what)
}

// tempDir is open to every user all the way down, unlike t.TempDir.
func tempDir(t *testing.T) string {
	t.Helper()
	dir := must(os.MkdirTemp("/tmp", "cutaway-nsdemo-"))(t)
	do(t, os.Chmod(dir, 0o777))
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func nobody() *nsdemo.UserID { return &nsdemo.UserID{UID: 65534, GID: 65534} }

// Everything once more as an ordinary user: what needs root skips itself.
func TestAgainAsOrdinaryUser(t *testing.T) {
	if os.Getuid() != 0 {
		return
	}
	t.Setenv("CUTAWAY_REQUIRE", "") // it is asked for what root can do
	p, err := os.StartProcess("/proc/self/exe", []string{os.Args[0]}, &os.ProcAttr{
		Dir: "/tmp", Env: os.Environ(), Files: []*os.File{nil, os.Stdout, os.Stderr},
		Sys: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}},
	})
	do(t, err)
	if state := must(p.Wait())(t); !state.Success() {
		t.Errorf("the tests as uid 65534: %v", state)
	}
}
