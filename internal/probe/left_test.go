package probe

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// traces lists what a probe could leave on the machine.
func traces(t *testing.T) map[string]string {
	t.Helper()
	links, _ := os.ReadDir("/sys/class/net")
	var names []string
	for _, l := range links {
		names = append(names, l.Name())
	}
	var cgroups []string
	for _, m := range ownMounts() {
		if m.fstype == "cgroup" || m.fstype == "cgroup2" {
			for _, pattern := range []string{"/", "/*/", "/*/*/"} {
				found, _ := filepath.Glob(m.point + pattern + ownedPrefix + "*")
				cgroups = append(cgroups, found...)
			}
		}
	}
	var backed []string
	files, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, f := range files {
		if strings.Contains(text(f), "cutaway-probe") {
			backed = append(backed, f)
		}
	}
	var mounts []string
	for _, m := range ownMounts() {
		mounts = append(mounts, m.point)
	}
	return map[string]string{
		"links": strings.Join(names, " "), "cgroups": strings.Join(cgroups, " "), "loop": strings.Join(backed, " "),
		"modules": text("/proc/modules"), "mounts": strings.Join(mounts, " "),
	}
}

func TestLiveLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	before := traces(t)
	Run(context.Background(), Options{StateDir: dir})
	// Other programs on this machine come and go: look again before a complaint.
	var diff string
	for range 20 {
		if diff = cmp.Diff(before, traces(t)); diff == "" {
			break
		}
		time.Sleep(100 * time.Millisecond)
		if before["cgroups"] == "" && traces(t)["cgroups"] == "" {
			before = traces(t)
		}
	}
	if diff != "" {
		t.Errorf("left behind (-before +after):\n%s", diff)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left in the state folder: %v", left)
	}
	if left := children(t); len(left) != 0 {
		t.Errorf("left processes: %v", left)
	}
}

// children lists processes whose parent is this one.
func children(t *testing.T) []string {
	t.Helper()
	var list []string
	files, _ := filepath.Glob("/proc/self/task/*/children")
	for _, f := range files {
		if c := text(f); c != "" {
			list = append(list, c)
		}
	}
	return list
}

// A child that was killed between mkdir and rmdir leaves a cgroup; the next
// run removes it, and does not touch one whose maker lives.
func TestSweepCgroups(t *testing.T) {
	needRoot(t)
	parent, ok := ownCgroupDir("")
	if !ok {
		t.Skip("no cgroup2 is mounted")
	}
	dead, alive := parent+"/"+ownedPrefix+"999999999-1", parent+"/"+ownedPrefix+"1-"+startTime("1")
	for _, dir := range []string{dead, alive} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		defer unix.Rmdir(dir)
	}
	sweepCgroups()
	if exists(dead) || !exists(alive) {
		t.Errorf("after sweepCgroups: dead maker's there = %v, living maker's there = %v; want false, true", exists(dead), exists(alive))
	}
}

// The same for a run that was killed while it had a folder in the state folder.
func TestSweepScratch(t *testing.T) {
	state := t.TempDir()
	dead, alive := state+"/"+scratchPrefix+"999999999-1", makeScratch(state)
	for _, dir := range []string{filepath.Join(dead, "work", "work", "inner"), filepath.Join(alive, "work", "work")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	_ = os.Chmod(filepath.Join(dead, "work", "work"), 0)
	sweepScratch(state)
	if exists(dead) || !exists(alive) {
		t.Errorf("after sweepScratch: dead maker's there = %v, own there = %v; want false, true", exists(dead), exists(alive))
	}
	if second := makeScratch(state); second == "" || second == alive || removeScratch(second) != nil {
		t.Errorf("a second folder at the same time = %q", second)
	}
	if err := removeScratch(alive); err != nil || exists(alive) {
		t.Errorf("removeScratch = %v", err)
	}
}
