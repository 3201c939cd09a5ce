package nsdemo_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cutaway/internal/needs"
	"cutaway/nsdemo"
)

func TestKindsAreTheKernels(t *testing.T) {
	for _, k := range nsdemo.Kinds() {
		if _, err := os.Lstat(k.File(proc, os.Getpid())); err != nil {
			needs.Missing(t, "a kernel with all eight kinds: "+err.Error())
		}
		if _, err := os.Lstat(k.ChildrenFile(proc, os.Getpid())); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(k.LimitFile(proc)); err != nil {
			t.Error(err)
		}
		if k.FlagName() == "" || k.ManPage() == "" || k.Since() == "" || k.Isolates() == "" {
			t.Errorf("kind %s: a fact is missing", k)
		}
	}
}

func TestFlagsAreAllOfThem(t *testing.T) {
	var all uintptr
	for _, k := range nsdemo.Kinds() {
		all |= k.Flag()
	}
	want := uintptr(unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID |
		unix.CLONE_NEWNET | unix.CLONE_NEWUSER | unix.CLONE_NEWCGROUP | unix.CLONE_NEWTIME)
	if all != want {
		t.Errorf("flags of all kinds = %#x; want %#x", all, want)
	}
}

func TestDockerLeavesUserAndTimeAlone(t *testing.T) {
	want := []nsdemo.Kind{"mnt", "uts", "ipc", "pid", "net", "cgroup"}
	if diff := cmp.Diff(want, nsdemo.DockerKinds()); diff != "" {
		t.Errorf("DockerKinds (-want +got):\n%s", diff)
	}
}

func TestParseKind(t *testing.T) {
	for name, want := range map[string]nsdemo.Kind{"mount": "mnt", "network": "net", "mnt": "mnt", "time": "time"} {
		if got, err := nsdemo.ParseKind(name); got != want || err != nil {
			t.Errorf("ParseKind(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	if got, err := nsdemo.ParseKind("disk"); err == nil {
		t.Errorf("ParseKind(disk) = %q; want an error", got)
	}
}
