package cgroupdemo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shell gives the steps as lines, with root taken off the paths.
func shell(steps []Step, root string) []string {
	var list []string
	for _, s := range steps {
		list = append(list, strings.ReplaceAll(s.Shell(), root, ""))
	}
	return list
}

func TestCreateStepsV2(t *testing.T) {
	hs := fakeV2(t, "cpu memory pids")
	mount := hs.List[0].MountPoint
	g, err := Open(hs, Config{Prefix: "cutaway", Name: "web/db", Controllers: []Controller{CPU, PIDs, Freezer}})
	if err != nil {
		t.Fatal(err)
	}
	steps, err := g.CreateSteps(hs)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"echo '+cpu +pids' > /own/cgroup.subtree_control",
		"mkdir /own/cutaway",
		"echo '+cpu +pids' > /own/cutaway/cgroup.subtree_control",
		"mkdir /own/cutaway/web",
		"echo '+cpu +pids' > /own/cutaway/web/cgroup.subtree_control",
		"mkdir /own/cutaway/web/db",
	}
	if diff := cmp.Diff(want, shell(steps, mount)); diff != "" {
		t.Errorf("CreateSteps (-want +got):\n%s", diff)
	}
}

func TestCreateStepsAllControllersTakesWhatTheBaseHas(t *testing.T) {
	hs := fakeV2(t, "cpu memory pids")
	mount := hs.List[0].MountPoint
	put(t, filepath.Join(mount, "own/cgroup.controllers"), "memory pids\n")
	g, err := Open(hs, Config{Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	steps, err := g.CreateSteps(hs)
	want := []string{"echo '+memory +pids' > /own/cgroup.subtree_control", "mkdir /own/web"}
	if diff := cmp.Diff(want, shell(steps, mount)); diff != "" || err != nil {
		t.Errorf("CreateSteps, %v (-want +got):\n%s", err, diff)
	}
}

// TestBaseV2 is about "no internal processes": where may we work?
func TestBaseV2(t *testing.T) {
	tests := []struct {
		name   string
		change map[string]string
		want   string
	}{
		{"the own group is empty", nil, "own"},
		{"the own group has processes, the top is the real one", map[string]string{"own/cgroup.procs": "42\n"}, ""},
		{"the own group has processes and hands on already", map[string]string{"own/cgroup.procs": "42\n", "own/cgroup.subtree_control": "cpu memory\n"}, "own"},
		{"inside a container: the top has processes too", map[string]string{"own/cgroup.procs": "42\n", "cgroup.type": "domain\n", "cgroup.subtree_control": "\n"}, "own"},
		{"a container's top that hands on", map[string]string{"own/cgroup.procs": "42\n", "cgroup.type": "domain\n"}, ""},
	}
	for _, test := range tests {
		hs := fakeV2(t, "cpu memory")
		mount := hs.List[0].MountPoint
		for file, text := range test.change {
			put(t, filepath.Join(mount, file), text)
		}
		places, err := hs.Places(Config{Name: "web", Controllers: []Controller{CPU}})
		if err != nil {
			t.Fatal(err)
		}
		if got := places[0].Base; got != filepath.Join(mount, test.want) {
			t.Errorf("%s: base = %s; want %s", test.name, got, filepath.Join(mount, test.want))
		}
	}
}

func TestCreateStepsV1(t *testing.T) {
	root := t.TempDir()
	for _, tree := range []string{"cpuset", "pids"} {
		put(t, filepath.Join(root, tree, "cgroup.procs"), "")
	}
	put(t, filepath.Join(root, "cpuset/cpuset.cpus"), "0-1\n")
	put(t, filepath.Join(root, "cpuset/cpuset.mems"), "0\n")
	put(t, filepath.Join(root, "cpuset/cutaway/cgroup.procs"), "")
	put(t, filepath.Join(root, "cpuset/cutaway/cpuset.cpus"), "\n") // left half-made by somebody
	hs := &Hierarchies{
		List: []Hierarchy{
			{Version: V1, ID: 1, Controllers: []string{"cpuset"}, MountPoint: filepath.Join(root, "cpuset"), Root: "/"},
			{Version: V1, ID: 2, Controllers: []string{"pids"}, MountPoint: filepath.Join(root, "pids"), Root: "/"},
		},
		Own: []Membership{{ID: 1, Controllers: []string{"cpuset"}, Path: "/"}, {ID: 2, Controllers: []string{"pids"}, Path: "/"}},
	}
	g, err := Open(hs, Config{Prefix: "/cutaway", Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	steps, err := g.CreateSteps(hs)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"echo '0-1' > /cpuset/cutaway/cpuset.cpus",
		"echo '0' > /cpuset/cutaway/cpuset.mems",
		"mkdir /cpuset/cutaway/web",
		"echo '0-1' > /cpuset/cutaway/web/cpuset.cpus",
		"echo '0' > /cpuset/cutaway/web/cpuset.mems",
		"mkdir /pids/cutaway",
		"mkdir /pids/cutaway/web",
	}
	if diff := cmp.Diff(want, shell(steps, root)); diff != "" {
		t.Errorf("CreateSteps on v1 (-want +got):\n%s", diff)
	}
}

// TestCreateUndoes lets the second write fail (an ordinary folder gets no
// control files) and looks for remains.
func TestCreateUndoes(t *testing.T) {
	hs := fakeV2(t, "cpu")
	mount := hs.List[0].MountPoint
	_, err := Create(hs, Config{Prefix: "cutaway", Name: "web", Controllers: []Controller{CPU}})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Create in an ordinary folder = %v; want ENOENT for cgroup.subtree_control", err)
	}
	if _, err := os.Stat(filepath.Join(mount, "own/cutaway")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a failed Create the prefix folder: %v; want it gone", err)
	}
}

func TestPlacesErrors(t *testing.T) {
	hs := fakeV2(t, "cpu")
	for _, cfg := range []Config{{}, {Name: "../x"}, {Name: "a//b"}, {Name: "x", Prefix: "a/../b"}} {
		if _, err := hs.Places(cfg); err == nil {
			t.Errorf("Places(%+v) gave no error", cfg)
		}
	}
	if _, err := hs.Places(Config{Name: "x", Controllers: []Controller{NetCls}}); !errors.Is(err, ErrNoController) {
		t.Errorf("Places with net_cls on v2 = %v; want ErrNoController", err)
	}
	if _, err := (&Hierarchies{}).Places(Config{Name: "x"}); !errors.Is(err, ErrNoController) {
		t.Errorf("Places without any mount = %v; want ErrNoController", err)
	}
	put(t, filepath.Join(hs.List[0].MountPoint, "own/x/cgroup.procs"), "")
	if _, err := Create(hs, Config{Name: "x"}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create of a group that is there = %v; want ErrExist", err)
	}
}
