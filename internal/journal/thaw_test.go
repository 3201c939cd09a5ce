package journal

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cutaway/internal/journal/mark"
)

func TestFreezerIsFound(t *testing.T) {
	const groups = "8:pids:/a\n6:cpu,freezer:/cutaway-1-2-ice\n0::/b\n"
	if got, want := freezerGroup([]byte(groups)), "/cutaway-1-2-ice"; got != want {
		t.Errorf("freezerGroup = %q; want %q", got, want)
	}
	if got := freezerGroup([]byte("0::/b\n")); got != "" {
		t.Errorf("freezerGroup without a freezer = %q; want none", got)
	}
	const mounts = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" +
		"37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime shared:9 - cgroup cgroup rw,freezer\n" +
		"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	if got, want := freezerMount([]byte(mounts)), "/sys/fs/cgroup/freezer"; got != want {
		t.Errorf("freezerMount = %q; want %q", got, want)
	}
	if got := freezerMount([]byte("1 0 0:1 / / rw - ext4 freezer rw\n")); got != "" {
		t.Errorf("freezerMount without one = %q; want none", got)
	}
}

// A process in a group keeps it busy, so processes are ended first although the
// intent to end them was the first of the run.
func TestProcessesAreEndedFirst(t *testing.T) {
	run, err := Begin(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sleeper := exec.Command("sleep", "1000")
	sleeper.Env = append(os.Environ(), mark.Variable+"="+run.ID)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, u := range []Undo{{Kind: SweepMarked, Name: run.ID}, {Kind: RemoveFile, Path: file}} {
		if err := run.Intend(u); err != nil {
			t.Fatal(err)
		}
	}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	go sleeper.Wait()
	if err := run.PutBack(); err != nil {
		t.Fatal(err)
	}
	state, err := os.ReadFile(journalPath(run.dir, run.ID))
	if err != nil {
		t.Fatal(err)
	}
	sweep, removal := bytes.Index(state, []byte(`"undone":{"kind":"sweep"`)), bytes.Index(state, []byte(`"undone":{"kind":"remove-file"`))
	if sweep < 0 || removal < 0 || sweep > removal {
		t.Errorf("the journal has the sweep at %d and the removal at %d; want the sweep first:\n%s", sweep, removal, state)
	}
	if err := run.End(); err != nil {
		t.Error(err)
	}
}

func TestContainersOfARunAreFound(t *testing.T) {
	id := strings.Repeat("0a", 32)
	for groups, want := range map[string]string{
		"8:pids:/cutaway-12-34/" + id + "\n0::/x\n":        "12-34",
		"0::/a/cutaway-12-34/" + id + "/inner\n":           "12-34",
		"0::/cutaway-12-34\n":                              "", // a learner's own process, moved there by hand
		"0::/cutaway-12-34/" + id + "0\n":                  "",
		"0::/cutaway/" + id + "\n":                         "", // not of a run
		"8:pids:/cutaway-12-34-box\n0::/cutaway-12-34/b\n": "",
	} {
		if got := tokenOfContainer(groups); got != want {
			t.Errorf("tokenOfContainer(%q) = %q; want %q", groups, got, want)
		}
	}
}
