package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cutaway/internal/needs"
	"cutaway/labs"
)

// Every bad input gets an exit code and a sentence that says what to do.
func TestBadInput(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown lab":         {[]string{"lab", "nonsense"}, exitUsage, "cutaway list"},
		"number out of range": {[]string{"lab", "99"}, exitUsage, "no lab"},
		"backward range":      {[]string{"lab", "09-01"}, exitUsage, "did you mean 01-09"},
		"empty range":         {[]string{"lab", "98-99"}, exitUsage, "no lab in the range"},
		"no lab at all":       {[]string{"lab"}, exitUsage, "requires at least 1 arg"},
		"unknown flag":        {[]string{"lab", "01", "--nonsense"}, exitUsage, "unknown flag"},
		"unknown command":     {[]string{"nonsense"}, exitUsage, "unknown command"},
		"unknown language":    {[]string{"list", "--lang", "tlh"}, exitUsage, "en, zh"},
		"step off terminal":   {[]string{"lab", "01", "--step"}, exitUsage, "--auto"},
		"unknown step":        {[]string{"lab", "01", "--auto", "--omit", "nonsense"}, exitUsage, "no step"},
		"two modes":           {[]string{"lab", "01", "--auto", "--json"}, exitUsage, "auto"},
	} {
		t.Run(name, func(t *testing.T) {
			got := newSession(t).run(c.args...)
			if got.code != c.code || !strings.Contains(got.stderr, c.says) {
				t.Errorf("cutaway %v = code %d, %q; want %d and %q", c.args, got.code, got.stderr, c.code, c.says)
			}
			if got.stdout != "" {
				t.Errorf("cutaway %v prints %q to stdout; want errors on stderr", c.args, got.stdout)
			}
		})
	}
}

// start begins a lab that takes a while and waits until it is in mid-step.
func start(t *testing.T, s *session) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := s.command(ctx, "lab", slowLab, "--auto")
	errs := &strings.Builder{}
	cmd.Stderr = errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if findWorker(cmd.Process.Pid).Pid != 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond)
	return cmd, errs
}

// slowLab measures for a few seconds.
const slowLab = "11"

func TestSignalsBreakOffInOrder(t *testing.T) {
	needs.Root(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			s := newSession(t)
			cmd, errs := start(t, s)
			cmd.Process.Signal(sig)
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 128+int(sig) {
				t.Errorf("exit code %d; want %d", code, 128+int(sig))
			}
			if !strings.Contains(errs.String(), "put back") || !strings.Contains(errs.String(), "in lab "+slowLab) {
				t.Errorf("stderr %q; want where it was broken off and that everything was put back", errs)
			}
			if _, err := os.Stat(s.runDir); err == nil {
				t.Error("the run folder is still there")
			}
		})
	}
}

func TestASecondRunAtTheSameTimeIsRefused(t *testing.T) {
	needs.Root(t)
	s := newSession(t)
	cmd, _ := start(t, s)
	got := s.run("lab", "01", "--auto")
	if got.code != exitFailed || !strings.Contains(got.stderr, "another cutaway") {
		t.Errorf("second run: code %d, %q; want it refused by name", got.code, got.stderr)
	}
	cmd.Process.Signal(syscall.SIGINT)
	cmd.Wait()
}

func TestAFullRunFolderIsAClearError(t *testing.T) {
	needs.Root(t)
	dir := t.TempDir()
	// A tiny file system of our own, in a mount namespace of our own.
	script := `mount -t tmpfs -o size=4k cutaway-full "$1" && dd if=/dev/zero of="$1/fill" bs=4k count=1 2>/dev/null; exec "$2" lab 01 --auto --run-dir "$1/cutaway"`
	cmd := exec.Command("unshare", "--mount", "sh", "-c", script, "sh", dir, executable())
	cmd.Env = append(os.Environ(), actAsProgram+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(out), "full") {
		t.Errorf("full run folder: code %d, %s; want 1 and what to do", cmd.ProcessState.ExitCode(), out)
	}
}

func TestAnUnwritableRunFolderIsAClearError(t *testing.T) {
	s := newSession(t).asNobody()
	got := s.run("lab", "01", "--auto", "--run-dir", "/proc/cutaway")
	if got.code != exitFailed || !strings.Contains(got.stderr, "--run-dir") {
		t.Errorf("code %d, %q; want 1 and the way out", got.code, got.stderr)
	}
}

// Without any cgroup mount the labs on groups are untested, with the way out.
func TestNoCgroupMountIsUntested(t *testing.T) {
	needs.Root(t)
	script := `umount -R -l /sys/fs/cgroup && exec "$1" lab 10 --on host --json --run-dir "$2"`
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", executable(), filepath.Join(t.TempDir(), "cutaway"))
	cmd.Env = append(os.Environ(), actAsProgram+"=1")
	out, _ := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code != exitUntested || !strings.Contains(string(out), "mount") {
		t.Errorf("no cgroup mount: code %d, %s; want 3 and what to mount", code, out)
	}
}

func TestListNamesEveryLab(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		got := newSession(t).run("list", "--lang", lang)
		for _, l := range labs.All() {
			if !strings.Contains(got.stdout, l.ID+"  "+l.Name) {
				t.Errorf("list --lang %s lacks lab %s:\n%s", lang, l.ID, got.stdout)
			}
		}
	}
}

// A reader that has seen enough (head) must not leave a lab half done.
func TestAClosedPipeBreaksOffInOrder(t *testing.T) {
	needs.Root(t)
	s := newSession(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := s.command(t.Context(), "lab", slowLab, "--json")
	cmd.Stdout = write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	read.Read(make([]byte, 10))
	read.Close()
	cmd.Wait()
	if _, err := os.Stat(s.runDir); err == nil {
		t.Error("the run folder is still there")
	}
}
