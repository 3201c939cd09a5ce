package contract

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
)

// Engine is Docker Engine, the oracle: in a mount and a network namespace of its
// own, with its own data root, without a bridge or firewall rules. That is
// enough for images, and for containers that are never started.
type Engine struct {
	Data string // its data root: /var/lib/docker elsewhere
	host string
}

// StartEngine starts Docker Engine for one test.
func StartEngine(t testing.TB) *Engine {
	t.Helper()
	needs.Root(t)
	needs.Program(t, "dockerd", "docker.io")
	needs.Program(t, "containerd", "containerd")
	needs.Program(t, "docker", "docker-cli")
	dir := TempDir(t) // a short one: a socket's path may have 108 characters
	e := &Engine{Data: filepath.Join(dir, "data"), host: "unix://" + dir + "/docker.sock"}
	var log bytes.Buffer
	cmd := exec.Command("dockerd", "--host", e.host, "--data-root", e.Data, "--exec-root", dir+"/exec", "--pidfile", dir+"/pid",
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=overlay2")
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET, Pdeathsig: unix.SIGTERM}
	runtime.LockOSThread() // Pdeathsig follows the thread
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cmd.Process.Signal(unix.SIGTERM)
		<-ended
		runtime.UnlockOSThread()
	})
	e.await(t, ended, &log)
	return e
}

// await asks until the engine answers. The limit only bounds a hang.
func (e *Engine) await(t testing.TB, ended <-chan struct{}, log *bytes.Buffer) {
	t.Helper()
	for limit := time.Now().Add(2 * time.Minute); time.Now().Before(limit); {
		if _, _, code := e.Run(t, nil, "version"); code == 0 {
			return
		}
		select {
		case <-ended:
			t.Fatalf("dockerd ended:\n%s", log.Bytes()[max(0, log.Len()-3000):])
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatal("dockerd does not answer")
}

// Run is one command of the Docker client, with what it printed and its exit code.
func (e *Engine) Run(t testing.TB, stdin io.Reader, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command("docker", append([]string{"-H", e.host}, args...)...)
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
