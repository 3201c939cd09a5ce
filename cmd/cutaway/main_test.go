package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cutaway/internal/needs"
	"cutaway/minicontainer/bundle"
)

// The test binary is cutaway itself when this variable is set, so the tests
// drive the real program with its workers and helpers without building it.
const actAsProgram = "CUTAWAY_TEST_ACT_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(actAsProgram) != "" || isHelper() {
		main()
	}
	code := m.Run()
	for _, left := range []string{testBinary(), testCache()} {
		os.RemoveAll(left)
	}
	os.Exit(code)
}

// What the tests of one run share. Two runs at a time must not get into each
// other's way.
func testBinary() string { return fmt.Sprintf("%s/cutaway-test-binary-%d", os.TempDir(), os.Getpid()) }
func testCache() string  { return fmt.Sprintf("%s/cutaway-test-cache-%d", os.TempDir(), os.Getpid()) }

// isHelper tells whether this process was started under another name by a
// package that serves helpers.
func isHelper() bool {
	return os.Args[0] == bundle.InitPath || filepath.Base(os.Args[0]) != filepath.Base(executable())
}

func executable() string {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return exe
}

// result is what a run of the program came to.
type result struct {
	stdout, stderr string
	code           int
}

// session runs the program on a run folder of its own.
type session struct {
	t      *testing.T
	runDir string
	env    []string
	attr   *syscall.SysProcAttr
	binary string // instead of the test binary
}

func newSession(t *testing.T) *session {
	t.Helper()
	return &session{t: t, runDir: filepath.Join(t.TempDir(), "cutaway"), attr: &syscall.SysProcAttr{}}
}

// root is the session's state root: images and containers.
func (s *session) root() string { return filepath.Join(filepath.Dir(s.runDir), "root") }

// asNobody makes the session that of an ordinary user.
func (s *session) asNobody() *session {
	s.t.Helper()
	needs.Root(s.t) // to become somebody else
	dir, err := os.MkdirTemp("", "cutaway-nobody-")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, nobody, nobody); err != nil {
		s.t.Fatal(err)
	}
	s.runDir = filepath.Join(dir, "cutaway")
	s.attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	s.env = append(s.env, "HOME="+dir)
	return s
}

const nobody = 65534

func (s *session) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.program(), args...)
	cmd.Args[0] = "cutaway" // some packages begin before main, under this name only
	cmd.Env = append(os.Environ(), actAsProgram+"=1", "CUTAWAY_RUN_DIR="+s.runDir, "CUTAWAY_ROOT="+s.root(), "LC_ALL=C")
	cmd.Env = append(cmd.Env, s.env...)
	attr := *s.attr
	cmd.SysProcAttr = &attr
	return cmd
}

// program is the test binary, in a place from which the session's user may
// execute it.
func (s *session) program() string {
	if s.binary != "" {
		return s.binary
	}
	if s.attr.Credential == nil {
		return executable()
	}
	path := filepath.Join(filepath.Dir(s.runDir), "cutaway-program")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	binary, err := os.ReadFile(executable())
	if err == nil {
		err = os.WriteFile(path, binary, 0o755)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return path
}

// run runs the program to its end.
func (s *session) run(args ...string) result {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Minute)
	defer cancel()
	cmd := s.command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("cutaway %v: %v", args, err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}
