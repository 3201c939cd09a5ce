package main

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cutaway/internal/needs"
	"cutaway/labs/walk"
)

// withVM is the session of an ordinary user with a kernel cache of their own,
// which the tests of one run share: the kernel is fetched once.
func withVM(t *testing.T) *session {
	t.Helper()
	needs.Program(t, "qemu-system-x86_64", "qemu-system-x86")
	s := newSession(t)
	cache := testCache()
	if os.Geteuid() == 0 {
		s.asNobody()
		if err := os.MkdirAll(cache, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(cache, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	s.env = append(s.env, "XDG_CACHE_HOME="+cache)
	s.binary = buildOnce(t)
	return s
}

// buildOnce builds the program: in the guest it is the first process, and the
// test binary would not do for that.
var buildOnce = func() func(t *testing.T) string {
	var once sync.Once
	path := testBinary()
	return func(t *testing.T) string {
		t.Helper()
		once.Do(func() {
			build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build the program: %v: %s", err, out)
			}
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		})
		return path
	}
}()

// What an ordinary user can do in a VM is everything that its kernel can.
func TestLabsInAVM(t *testing.T) { labsInAVM(t, "03-05") }

// All of them, and by hand as well, takes minutes with an emulated processor.
func TestAllLabsInAGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: minutes in a virtual machine; make test-guest")
	}
	labsInAVM(t, "01-14")
	labsInAVM(t, "01-14", "--by-hand")
}

func labsInAVM(t *testing.T, labs string, flags ...string) {
	t.Helper()
	got := withVM(t).run(append([]string{"lab", labs, "--json", "--on", "vm"}, flags...)...)
	all := events(t, got.stdout)
	complain(t, all)
	if got.code != exitOK {
		t.Errorf("exit code %d, stderr %s; want 0", got.code, got.stderr)
	}
	for _, e := range all {
		if s, ok := e.(walk.StepEvent); ok && s.State == walk.Untested && !s.Extra {
			t.Errorf("lab %s step %s is untested in the VM: %s", s.Lab, s.Step, s.Reason)
		}
		if l, ok := e.(walk.LabEvent); ok && l.Where != "vm" {
			t.Errorf("lab %s was performed on %q; want vm", l.Lab, l.Where)
		}
	}
}

// The same lab tells the same story here and in a VM; only what differs by
// nature (ids, names, times, the kernel) does.
func TestTheSameEventsFromBothPlaces(t *testing.T) {
	needs.Root(t)
	here := newSession(t).run("lab", "03", "--json", "--on", "host")
	there := withVM(t).run("lab", "03", "--json", "--on", "vm")
	if diff := cmp.Diff(story(t, here.stdout), story(t, there.stdout)); diff != "" {
		t.Errorf("events differ between the host (-) and the VM (+):\n%s\n%s", diff, there.stderr)
	}
}

// story is what events say, without the values that differ by nature.
func story(t *testing.T, stdout string) []string {
	t.Helper()
	var all []string
	for _, e := range events(t, stdout) {
		switch e := e.(type) {
		case walk.LabEvent:
			all = append(all, fmt.Sprintf("lab %s %s %s %v", e.Lab, e.Name, e.State, e.Residue))
		case walk.StepEvent:
			all = append(all, fmt.Sprintf("step %s %s %s %d/%d %v", e.Lab, e.Step, e.State, e.Number, e.Of, e.Reproduces))
		case walk.ByHandEvent:
			all = append(all, fmt.Sprintf("by hand %s %d lines", e.Step, len(e.Lines)))
		case walk.EvidenceEvent:
			all = append(all, fmt.Sprintf("evidence %s %q %v", e.Step, e.Title, e.Columns))
			for _, r := range e.Rows {
				all = append(all, "fact "+r.Fact)
			}
		case walk.ExpectEvent:
			all = append(all, fmt.Sprintf("claim %q %s", e.Claim, e.Outcome))
		case walk.SummaryEvent:
			all = append(all, fmt.Sprintf("summary %+v %+v %d of %d %v", e.Labs, e.Steps, e.Experiments.Reproduced, e.Experiments.Of, e.Residue))
		}
	}
	return all
}

// Without QEMU, what needs it is untested with the way out, and the exit code
// says so.
func TestNoQEMUIsUntested(t *testing.T) {
	s := newSession(t)
	s.env = append(s.env, "PATH=/nonexistent")
	got := s.run("lab", "03", "--json", "--on", "vm")
	all := events(t, got.stdout)
	if got.code != exitUntested || len(all) == 0 {
		t.Fatalf("code %d, %s%s; want 3", got.code, got.stdout, got.stderr)
	}
	for _, e := range all {
		if s, ok := e.(walk.StepEvent); ok && (s.State != walk.Untested || s.Reason == "") {
			t.Errorf("step %+v; want it untested, with the reason", s)
		}
	}
}

// TestGuestDevicemapperImages: a thin pool comes up with the command that needs
// it and goes with the last one.
func TestGuestDevicemapperImages(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: boots a virtual machine; make test-guest")
	}
	s := withVM(t)
	const script = `set -e
mkfs.ext4 -q -E lazy_itable_init=1 /dev/vda; mkdir /scratch; mount /dev/vda /scratch
c() { cutaway --root /scratch/root --storage-driver devicemapper --storage-opt dm.basesize=64M "$@"; }
c pull -q box
c image inspect -f '{{.GraphDriver.Name}}' box
c save box | tar t | grep -c layer.tar
c rmi -f box >/dev/null
dmsetup ls; losetup -a; c images -aq; cutaway --root /scratch/root clean`
	want := "docker.io/library/box:latest\ndevicemapper\n2\nNo devices found\nnothing to clean\n"
	if r := s.run("vm", "run", "--scratch", "1024", "--", "sh", "-c", script); r.code != 0 || r.stdout != want {
		t.Errorf("images on devicemapper = %d, %q; want %q; stderr %s", r.code, r.stdout, want, r.stderr)
	}
}
