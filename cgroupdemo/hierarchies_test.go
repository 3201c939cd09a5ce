package cgroupdemo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// captured reads one of the texts in testdata into Hierarchies, without the
// directories behind it.
func captured(t testing.TB, name string) *Hierarchies {
	t.Helper()
	hs := &Hierarchies{}
	var err error
	if hs.List, err = parseFile("testdata/"+name+".mountinfo", ParseMountinfo); err != nil {
		t.Fatal(err)
	}
	if hs.Own, err = parseFile("testdata/"+name+".cgroup", ParseMembership); err != nil {
		t.Fatal(err)
	}
	for i := range hs.List {
		if err := hs.complete(&hs.List[i]); err != nil {
			t.Fatal(err)
		}
	}
	return hs
}

func TestMode(t *testing.T) {
	for name, want := range map[string]Mode{"v1": ModeV1, "v2": ModeV2, "hybrid": ModeHybrid, "systemd_hybrid": ModeHybrid, "dind": ModeV1} {
		if got := captured(t, name).Mode(); got != want {
			t.Errorf("Mode() of %s = %s; want %s", name, got, want)
		}
	}
	if got := (&Hierarchies{}).Mode(); got != ModeNone {
		t.Errorf("Mode() without mounts = %s; want none", got)
	}
	onlySystemd := &Hierarchies{List: []Hierarchy{{Version: V1, Name: "systemd"}, {Version: V2}}}
	if got := onlySystemd.Mode(); got != ModeV2 {
		t.Errorf("Mode() with systemd's own v1 tree alone = %s; want v2", got)
	}
}

func TestOwnDir(t *testing.T) {
	tests := []struct{ name, label, want string }{
		{"v1", "cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct/user.slice"},
		{"v1", "name=systemd", "/sys/fs/cgroup/systemd/user.slice/user-1000.slice/session-3.scope"},
		{"v2", "v2", `/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/app-term\x2d1.scope`},
		{"hybrid", "memory", "/sys/fs/cgroup/memory/user.slice/session-1"},
		{"systemd_hybrid", "v2", "/sys/fs/cgroup/unified/system.slice/ssh.service"},
		{"dind", "cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct"},
		{"dind", "memory", "/sys/fs/cgroup/memory/inner"},
	}
	for _, test := range tests {
		hs := captured(t, test.name)
		for _, h := range hs.List {
			if h.Label() != test.label {
				continue
			}
			if got, err := hs.ownDir(h); got != test.want || err != nil {
				t.Errorf("ownDir(%s) of %s = %q, %v; want %q", test.label, test.name, got, err, test.want)
			}
		}
	}
}

func TestDirNotVisible(t *testing.T) {
	h := Hierarchy{Version: V2, MountPoint: "/m", Root: "/docker/4f"}
	for _, path := range []string{"/other", "/docker/4f1c", "/../up"} {
		if got, err := h.Dir(path); !errors.Is(err, ErrNotVisible) {
			t.Errorf("Dir(%q) = %q, %v; want ErrNotVisible", path, got, err)
		}
	}
	if got, err := h.Dir("/docker/4f"); got != "/m" || err != nil {
		t.Errorf(`Dir("/docker/4f") = %q, %v; want /m`, got, err)
	}
}

func TestParseMountinfoDetails(t *testing.T) {
	dind := captured(t, "dind")
	want := Hierarchy{Version: V1, ID: 3, Controllers: []string{"memory"}, Device: "0:26",
		MountPoint: "/sys/fs/cgroup/memory", Root: "/docker/4f1c", ReadOnly: true}
	if diff := cmp.Diff(want, dind.List[2]); diff != "" {
		t.Errorf("docker in docker, memory (-want +got):\n%s", diff)
	}
	if got := len(dind.List); got != 3 {
		t.Errorf("docker in docker has %d trees; want 3, the one that is mounted twice once", got)
	}
	list, err := ParseMountinfo(strings.NewReader(`1 2 0:9 / /odd\040place\134 rw shared:1 master:2 - cgroup2 none rw` + "\n"))
	if err != nil || len(list) != 1 || list[0].MountPoint != `/odd place\` {
		t.Errorf("escaped mount point = %+v, %v", list, err)
	}
	for _, bad := range []string{"x", "1 2 0:9 / /m rw cgroup2 none", "1 2 0:9 / /m rw - cgroup2"} {
		if _, err := ParseMountinfo(strings.NewReader(bad)); err == nil {
			t.Errorf("ParseMountinfo(%q) gave no error", bad)
		}
	}
}

func TestParseProcErrors(t *testing.T) {
	for _, bad := range []string{"memory\t4", "memory four 1 1"} {
		if _, err := ParseControllers(strings.NewReader(bad)); err == nil {
			t.Errorf("ParseControllers(%q) gave no error", bad)
		}
	}
	for _, bad := range []string{"0:/", "x::/", "-1::/", "0::relative"} {
		if _, err := ParseMembership(strings.NewReader(bad)); err == nil {
			t.Errorf("ParseMembership(%q) gave no error", bad)
		}
	}
	list, err := ParseMembership(strings.NewReader("0::/a:b/c\n"))
	if err != nil || list[0].Path != "/a:b/c" {
		t.Errorf("a path with a colon = %+v, %v", list, err)
	}
}

func TestVersionOf(t *testing.T) {
	hs := captured(t, "hybrid")
	for i := range hs.List {
		if hs.List[i].Version == V2 {
			hs.List[i].Controllers = []string{"hugetlb"}
		}
	}
	want := map[Controller]Version{Core: V2, CPU: V1, CPUAcct: V1, CPUSet: V1, Memory: V1, IO: V1, PIDs: V1,
		Devices: V1, Freezer: V1, HugeTLB: V2, RDMA: 0, NetCls: 0, NetPrio: 0}
	got := map[Controller]Version{}
	for _, c := range Controllers() {
		got[c] = hs.VersionOf(c)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("VersionOf on a hybrid (-want +got):\n%s", diff)
	}
	if _, ok := hs.In(Freezer, V2); !ok {
		t.Error("In(Freezer, V2) on a hybrid = false; want true: cgroup.freeze is in every v2 group")
	}
}

func TestReadFakeProc(t *testing.T) {
	hs := fakeV2(t, "cpu memory pids")
	if got := hs.Mode(); got != ModeV2 {
		t.Errorf("Mode() = %s; want v2", got)
	}
	for _, row := range hs.Table() {
		want := Version(0)
		switch row.Controller {
		case Core, CPU, CPUAcct, Memory, PIDs, Devices, Freezer:
			want = V2
		}
		if row.Version != want {
			t.Errorf("Table: %s = %s; want %s", row.Controller, row.Version, want)
		}
		if row.Version == V2 && (row.Groups.Value != 4 || row.Delegated != nil) {
			t.Errorf("Table: %s has %d groups, delegated %v; want 4, nil", row.Controller, row.Groups.Value, row.Delegated)
		}
	}
	own, err := hs.GroupOf(42)
	want := filepath.Join(hs.List[0].MountPoint, "own")
	if err != nil || own["v2"].Value != want {
		t.Errorf("GroupOf(42) = %v, %v; want %s", own, err, want)
	}
}

// fakeV2 is a v2 tree of ordinary files, with a /proc that tells of it. The
// caller stands in the group /own, which is empty.
func fakeV2(t testing.TB, controllers string) *Hierarchies {
	t.Helper()
	root := t.TempDir()
	mount := filepath.Join(root, "cgroup")
	files := map[string]string{
		"proc/self/mountinfo":               "26 22 0:23 / " + mount + " rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
		"proc/self/cgroup":                  "0::/own\n",
		"proc/42/cgroup":                    "0::/own\n",
		"proc/cgroups":                      "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t4\t1\n",
		"cgroup/cgroup.controllers":         controllers + "\n",
		"cgroup/cgroup.subtree_control":     controllers + "\n",
		"cgroup/cgroup.procs":               "1\n",
		"cgroup/cgroup.stat":                "nr_descendants 3\nnr_dying_descendants 0\n",
		"cgroup/own/cgroup.controllers":     controllers + "\n",
		"cgroup/own/cgroup.subtree_control": "\n",
		"cgroup/own/cgroup.procs":           "",
		"cgroup/own/cgroup.type":            "domain\n",
	}
	for name, text := range files {
		put(t, filepath.Join(root, name), text)
	}
	hs, err := Read(filepath.Join(root, "proc"))
	if err != nil {
		t.Fatal(err)
	}
	return hs
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
