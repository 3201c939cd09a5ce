// Package engine gives a test a Docker Engine of its own: the judge of all that
// claims to do as Docker does.
//
//	the test ---- Start ----> scripts/engine.sh inside DIR   mounts, network, cgroups
//	   |                               | execve(2)             apart from the machine's
//	   +--- Run, Docker: docker.sock -> dockerd -> containerd -> containers
//
// The script says what is apart and how, and is the same for a person at a
// terminal. What is here is how a test waits for the engine and is rid of it: the
// daemon ends when the test's thread does, even if that was killed.
//
// It is for tests only.
package engine

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// Engine is a running Docker Engine.
type Engine struct {
	Dir    string // where it has all its files
	Pid    int    // of dockerd
	script string
}

// Start starts an engine for one test, in a new folder below parent ("" for the
// usual place of temporary files), with more flags for dockerd. It has no images.
func Start(t testing.TB, parent string, flags ...string) *Engine {
	t.Helper()
	needs.Root(t)
	needs.Program(t, "dockerd", "docker.io")
	needs.Program(t, "containerd", "containerd")
	needs.Program(t, "docker", "docker-cli")
	needs.Program(t, "iptables-legacy", "iptables")
	dir, err := os.MkdirTemp(parent, "cutaway-engine-") // short: a socket's path may have 108 characters
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{Dir: dir, script: find(t, "scripts/engine.sh")}
	ended := e.run(t, flags)
	e.await(t, ended)
	return e
}

// find looks for a file of this module: a test runs in the folder of its package.
func find(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, name)
		if _, missing := os.Stat(path); missing == nil || dir == "/" {
			return path
		}
	}
	t.Fatal(err)
	return ""
}

// run starts the daemon, and has it ended and everything removed with the test.
func (e *Engine) run(t testing.TB, flags []string) (ended <-chan struct{}) {
	t.Helper()
	log, err := os.Create(e.log())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// unshare and the script become dockerd (execve(2)), and so the death signal is its own.
	cmd := exec.Command("unshare", "--mount", "--net", e.script, "inside", e.Dir)
	cmd.Env = append(os.Environ(), "ENGINE_FLAGS="+strings.Join(flags, " "))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGTERM}
	runtime.LockOSThread() // Pdeathsig follows the thread
	if err := cmd.Start(); err != nil {
		t.Fatal(errors.Join(err, os.RemoveAll(e.Dir)))
	}
	e.Pid = cmd.Process.Pid
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		if out, err := exec.Command(e.script, "stop", e.Dir).CombinedOutput(); err != nil {
			t.Errorf("engine.sh stop: %v: %s", err, out)
		}
		cmd.Process.Kill() // one that never came so far as to write its pid down, where the script looks for it
		<-done
		runtime.UnlockOSThread()
	})
	return done
}

func (e *Engine) log() string { return filepath.Join(e.Dir, "log") }

// await asks until the engine answers. The limit only bounds a hang.
func (e *Engine) await(t testing.TB, ended <-chan struct{}) {
	t.Helper()
	failed := "dockerd does not answer"
	for limit := time.Now().Add(2 * time.Minute); time.Now().Before(limit); {
		if _, _, code := e.Run(t, nil, "version"); code == 0 {
			return
		}
		select {
		case <-ended:
			failed, limit = "dockerd ended", time.Time{}
		case <-time.After(100 * time.Millisecond):
		}
	}
	text, _ := os.ReadFile(e.log())
	t.Fatalf("%s:\n%s", failed, text[max(0, len(text)-3000):])
}

// Data is the engine's data root: /var/lib/docker elsewhere.
func (e *Engine) Data() string { return filepath.Join(e.Dir, "data") }

// Client is a command line of the Docker client.
func (e *Engine) Client(args ...string) []string {
	return append([]string{"docker", "-H", "unix://" + filepath.Join(e.Dir, "docker.sock")}, args...)
}

// Inside is a command line that runs another one where the engine is: in its mount
// and its network namespace.
func (e *Engine) Inside(command ...string) []string {
	return append([]string{"nsenter", "--target", strconv.Itoa(e.Pid), "--mount", "--net", "--"}, command...)
}

// Run is one command of the Docker client, with what it printed and its exit code.
func (e *Engine) Run(t testing.TB, stdin io.Reader, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	args = e.Client(args...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// Docker is a command of the client that has to succeed, and what it printed.
func (e *Engine) Docker(t testing.TB, stdin io.Reader, args ...string) string {
	t.Helper()
	stdout, stderr, code := e.Run(t, stdin, args...)
	if code != 0 {
		t.Fatalf("docker %q: exit code %d: %s", args, code, stderr)
	}
	return stdout
}

// BusyBox imports the image "busybox": one static program.
func (e *Engine) BusyBox(t testing.TB) {
	t.Helper()
	needs.Program(t, "busybox", "busybox-static")
	if out, err := exec.Command(e.script, "image", e.Dir).CombinedOutput(); err != nil {
		t.Fatalf("engine.sh image: %v: %s", err, out)
	}
}
