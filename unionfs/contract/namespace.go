package contract

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const inside = "CUTAWAY_CONTRACT_INSIDE"

// Main is TestMain for a driver: it runs the tests in a mount namespace of their
// own, so that a mount which a failed test left behind ends with the process,
// and it plays the process that the crash test kills.
func Main(m *testing.M, open OpenFunc) {
	if os.Getenv(inside) == "" && os.Geteuid() == 0 {
		os.Exit(again())
	}
	if os.Getenv(victimJob) != "" {
		victim(open)
	}
	os.Exit(m.Run())
}

// again runs this test program once more in a new mount namespace. Go makes all
// mounts private there (SysProcAttr.Unshareflags with CLONE_NEWNS).
func again() int {
	runtime.LockOSThread() // Pdeathsig follows the thread
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		os.Stderr.WriteString("contract: " + err.Error() + "\n")
		return 1
	}
	return 0
}

// TempDir is a new folder named cutaway-*, gone after the test.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cutaway-unionfs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("left behind: %v", err)
		}
	})
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}
