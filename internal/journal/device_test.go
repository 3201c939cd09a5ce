package journal

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cutaway/internal/needs"
)

func TestSameBacking(t *testing.T) {
	const ours = "/run/cutaway/scratch/1-2/lab/cutaway-1-2/devicemapper/data"
	for now, want := range map[string]bool{
		ours:                                 true,
		"/lab/cutaway-1-2/devicemapper/data": true, // its mount namespace is gone
		"/lab/cutaway-1-2/devicemapper/data (deleted)": true,
		"/lab/cutaway-1-3/devicemapper/data":           false,
		"/var/lib/docker/devicemapper/data":            false,
		"/lab/not-cutaway-1-2/devicemapper/data":       false,
	} {
		if got := sameBacking(now, ours); got != want {
			t.Errorf("sameBacking(%q) = %v; want %v", now, got, want)
		}
	}
	if !sameBacking("/tmp/disk", "/elsewhere/disk") {
		t.Error("a file without our name in its path: want the file's name compared")
	}
}

// The kernel chooses the number, so the journal knows only the file.
func TestLoopIsDetachedByItsFile(t *testing.T) {
	needs.Root(t)
	needs.Program(t, "losetup", "mount")
	dir := t.TempDir()
	attached := map[string]string{}
	for _, name := range []string{"cutaway-ours", "cutaway-theirs"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("losetup", "--find", "--show", file).CombinedOutput()
		if err != nil {
			t.Fatalf("losetup %s: %v: %s", file, err, out)
		}
		attached[name] = strings.TrimSpace(string(out))
		defer exec.Command("losetup", "--detach", attached[name]).Run()
	}
	if err := (&Undo{Kind: DetachLoop, Backing: filepath.Join(dir, "cutaway-ours")}).Apply(); err != nil {
		t.Fatal(err)
	}
	for name, device := range attached {
		_, err := os.Stat("/sys/block/" + filepath.Base(device) + "/loop/backing_file")
		if got, want := err == nil, name == "cutaway-theirs"; got != want {
			t.Errorf("%s on %s is attached: %v; want %v", name, device, got, want)
		}
	}
}

// A process that waits for a suspended device cannot be killed, so devices are
// resumed before processes are ended, and that before devices are removed.
func TestSuspendedDevicesAreResumedFirst(t *testing.T) {
	run, err := Begin(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []Undo{{Kind: SweepMarked, Name: run.ID}, {Kind: RemoveDM, Name: "cutaway-none"}, {Kind: ResumeDM, Name: "cutaway-none"}, {Kind: RemoveDM, Name: "cutaway-other"}} {
		if err := run.Intend(u); err != nil {
			t.Fatal(err)
		}
	}
	if err := run.PutBack(); err != nil {
		t.Fatal(err)
	}
	state, err := os.ReadFile(journalPath(run.dir, run.ID))
	if err != nil {
		t.Fatal(err)
	}
	last := -1
	for _, want := range []string{`"dm-resume"`, `"sweep"`, `"dm-remove","name":"cutaway-other"`, `"dm-remove","name":"cutaway-none"`} {
		at := bytes.Index(state, []byte(`"undone":{"kind":`+want))
		if at <= last {
			t.Errorf("%s was undone at %d of the journal, want it behind %d:\n%s", want, at, last, state)
		}
		last = at
	}
	if err := run.End(); err != nil {
		t.Error(err)
	}
}
