package cgroupdemo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// fakeGroup is a group on a v2 tree of ordinary files with these control files.
func fakeGroup(t *testing.T, files map[string]string) (*Group, string) {
	t.Helper()
	hs := fakeV2(t, "cpu cpuset io memory pids hugetlb rdma")
	dir := filepath.Join(hs.List[0].MountPoint, "own/cutaway/web")
	for name, text := range files {
		put(t, filepath.Join(dir, name), text)
	}
	g, err := Open(hs, Config{Prefix: "cutaway", Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	return g, dir
}

func TestSetV2(t *testing.T) {
	g, dir := fakeGroup(t, map[string]string{"cpu.max": "max 100000\n", "memory.max": "max\n", "memory.current": "4096\n", "pids.max": "max\n", "io.weight": "default 100\n"})
	s := Spec{LinuxResources: specs.LinuxResources{
		CPU:     &specs.LinuxCPU{Quota: ptr(int64(50000)), Period: ptr(uint64(100000))},
		Memory:  &specs.LinuxMemory{Limit: ptr(int64(1 << 20)), Swappiness: ptr(uint64(1))},
		Pids:    &specs.LinuxPids{Limit: ptr(int64(7))},
		BlockIO: &specs.LinuxBlockIO{Weight: ptr(uint16(1000))},
	}}
	plan, err := g.Set(s)
	if err != nil || len(plan.Left) != 1 {
		t.Fatalf("Set = %v, left %v; want one left (swappiness)", err, plan.Left)
	}
	for file, want := range map[string]string{"cpu.max": "50000 100000", "memory.max": "1048576", "pids.max": "7", "io.weight": "10000"} {
		if got := ReadText(dir, file); got.Value != want {
			t.Errorf("after Set %s = %q; want %q", file, got.Value, want)
		}
	}
	s = Spec{LinuxResources: specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(1000)), CheckBeforeUpdate: ptr(true)}}}
	if _, err := g.Set(s); !errors.Is(err, unix.EBUSY) {
		t.Errorf("Set below the usage with checkBeforeUpdate = %v; want EBUSY", err)
	}
	if _, err := g.Set(Spec{CPUWeight: ptr(uint64(5))}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Set where the kernel has no file = %v; want ENOENT", err)
	}
	if _, err := g.Set(Spec{CPUWeight: ptr(uint64(0))}); err == nil {
		t.Error("Set of a bad spec gave no error")
	}
}

func TestReadV2(t *testing.T) {
	g, dir := fakeGroup(t, map[string]string{
		"cpu.stat":       "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 2000\n",
		"memory.current": "4096\n", "memory.peak": "8192\n", "memory.max": "max\n",
		"memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n",
		"memory.stat":   "anon 1\nfile 2\nkernel 3\nshmem 4\n",
		"pids.current":  "2\n", "pids.max": "20\n", "pids.events": "max 5\n",
		"io.stat":     "7:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
		"cpuset.cpus": "0\n", "cpuset.cpus.effective": "0\n", "cpuset.mems": "\n", "cpuset.mems.effective": "0\n",
	})
	cpu := g.CPU()
	if cpu.Total.Value != 1500*time.Millisecond || cpu.User.Value != time.Second || cpu.System.Value != 500*time.Millisecond ||
		cpu.Periods.Value != 10 || cpu.Throttled.Value != 4 || cpu.ThrottledTime.Value != 2*time.Millisecond {
		t.Errorf("CPU() = %+v", cpu)
	}
	if cpu.Total.Path != filepath.Join(dir, "cpu.stat") {
		t.Errorf("CPU().Total.Path = %s; want the group's cpu.stat", cpu.Total.Path)
	}
	m := g.Memory()
	if m.Usage.Value != 4096 || m.Peak.Value != 8192 || m.Limit.Value != Unlimited || m.AtLimit.Value != 3 || m.OOMKills.Value != 1 ||
		m.Anon.Value != 1 || m.File.Value != 2 || m.Kernel.Value != 3 || m.Shmem.Value != 4 {
		t.Errorf("Memory() = %+v", m)
	}
	p := g.PIDs()
	if p.Current.Value != 2 || p.Max.Value != 20 || p.Refused.Value != 5 || !errors.Is(p.Peak.Err, fs.ErrNotExist) {
		t.Errorf("PIDs() = %+v; want 2 of 20, 5 refused and no peak file", p)
	}
	want := []DeviceIO{{Major: 7, ReadBytes: 1, WriteBytes: 2, Reads: 3, Writes: 4}}
	if io := g.IO(); io.Err != nil || !cmp.Equal(want, io.Value) {
		t.Errorf("IO() = %+v; want %+v", io, want)
	}
	if set := g.CPUSet(); set.EffectiveCPUs.Value != "0" || set.Mems.Value != "" || set.EffectiveMems.Value != "0" {
		t.Errorf("CPUSet() = %+v", set)
	}
}

func TestReadWithoutController(t *testing.T) {
	g := &Group{Config: Config{Name: "x"}, Places: []Place{{Core, V2, "/", t.TempDir()}}}
	for name, err := range map[string]error{"CPU": g.CPU().Total.Err, "throttling": g.CPU().Periods.Err, "Memory": g.Memory().Stat.Err,
		"PIDs": g.PIDs().Max.Err, "IO": g.IO().Err, "CPUSet": g.CPUSet().CPUs.Err, "freezer": g.FreezerState().Err, "devices": g.DeviceRules().Err} {
		if !errors.Is(err, ErrNoController) {
			t.Errorf("%s without its controller = %v; want ErrNoController", name, err)
		}
	}
}

func TestParseBlkio(t *testing.T) {
	bytes := "8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n8:0 Total 30\n7:1 Read 1\n7:1 Write 2\nTotal 33\n"
	count := "8:0 Read 3\n8:0 Write 4\n7:1 Read 5\n7:1 Write 6\nTotal 18\n"
	want := []DeviceIO{{8, 0, 10, 20, 3, 4}, {7, 1, 1, 2, 5, 6}}
	got, err := ParseBlkio(bytes, count)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("ParseBlkio, %v (-want +got):\n%s", err, diff)
	}
	if _, err := ParseBlkio("8 Read 1\n", ""); err == nil {
		t.Error("ParseBlkio of a bad device gave no error")
	}
	if _, err := ParseIOStat("8:0 rbytes=x\n"); err == nil {
		t.Error("ParseIOStat of a bad number gave no error")
	}
}

func TestReadNumber(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]uint64{"max\n": Unlimited, "-1\n": Unlimited, "9223372036854771712\n": Unlimited, "9223372036854710272": Unlimited, "42\n": 42} {
		put(t, filepath.Join(dir, "f"), text)
		if got := ReadNumber(dir, "f"); got.Value != want || got.Err != nil {
			t.Errorf("ReadNumber(%q) = %d, %v; want %d", text, got.Value, got.Err, want)
		}
	}
	put(t, filepath.Join(dir, "f"), "many\n")
	if got := ReadNumber(dir, "f"); got.Err == nil || !strings.Contains(got.Err.Error(), dir) {
		t.Errorf("ReadNumber of a word = %v; want an error with the path", got.Err)
	}
}

func TestFreezeV2(t *testing.T) {
	g, dir := fakeGroup(t, map[string]string{"cgroup.freeze": "0\n", "cgroup.events": "populated 1\nfrozen 0\n"})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	// Nobody answers in an ordinary folder: Freeze gives up, and takes it back.
	if err := g.Freeze(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Freeze that never happens = %v; want the deadline", err)
	}
	if got := ReadText(dir, "cgroup.freeze").Value; got != "0" {
		t.Errorf("after giving up cgroup.freeze = %s; want 0", got)
	}
	put(t, filepath.Join(dir, "cgroup.events"), "populated 1\nfrozen 1\n")
	if err := g.Freeze(t.Context()); err != nil || ReadText(dir, "cgroup.freeze").Value != "1" {
		t.Errorf("Freeze = %v, cgroup.freeze = %s; want 1", err, ReadText(dir, "cgroup.freeze").Value)
	}
	put(t, filepath.Join(dir, "cgroup.events"), "populated 1\nfrozen 0\n")
	if got := g.FreezerState().Value; got != Freezing {
		t.Errorf("state = %s; want %s while not all have stopped", got, Freezing)
	}
}

func TestKillAndProcessesV2(t *testing.T) {
	g, dir := fakeGroup(t, map[string]string{"cgroup.kill": "", "cgroup.procs": "0\n", "child/cgroup.procs": ""})
	if err := g.Kill(t.Context()); err != nil || ReadText(dir, "cgroup.kill").Value != "1" {
		t.Errorf("Kill = %v, cgroup.kill = %q; want 1", err, ReadText(dir, "cgroup.kill").Value)
	}
	put(t, filepath.Join(dir, "cgroup.procs"), "30\n20\n")
	put(t, filepath.Join(dir, "child/cgroup.procs"), "20\n10\n")
	pids, err := g.Processes()
	if diff := cmp.Diff([]int{10, 20, 30}, pids); diff != "" || err != nil {
		t.Errorf("Processes, %v (-want +got):\n%s", err, diff)
	}
}

func TestAttachV2(t *testing.T) {
	g, dir := fakeGroup(t, map[string]string{"cgroup.procs": "", "cgroup.threads": ""})
	if err := g.Attach(42); err != nil || ReadText(dir, "cgroup.procs").Value != "42" {
		t.Errorf("Attach(42) = %v, cgroup.procs %q", err, ReadText(dir, "cgroup.procs").Value)
	}
	if err := g.AttachThread(CPU, 43); err != nil || ReadText(dir, "cgroup.threads").Value != "43" {
		t.Errorf("AttachThread(43) = %v, cgroup.threads %q", err, ReadText(dir, "cgroup.threads").Value)
	}
	if err := g.Release(42); err != nil {
		t.Errorf("Release(42) = %v", err)
	}
	f, err := g.OpenDir()
	if err != nil || f.Name() != dir {
		t.Errorf("OpenDir() = %v, %v; want %s", f, err, dir)
	}
	f.Close()
}

func TestFiles(t *testing.T) {
	g, dir := fakeGroup(t, map[string]string{"memory.max": "max\n", "memory.numa_stat": strings.Repeat("x", 5000), "odd.file": ""})
	if err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), nil, 0o200); err != nil {
		t.Fatal(err)
	}
	files, err := g.Files()
	if err != nil || len(files) != 4 {
		t.Fatalf("Files() = %v, %v; want 4", files, err)
	}
	byName := map[string]ControlFile{}
	for _, f := range files {
		byName[f.Name] = f
	}
	if f := byName["memory.max"]; f.Value != "max" || f.Meaning == "" || f.Path != filepath.Join(dir, "memory.max") {
		t.Errorf("memory.max = %+v", f)
	}
	if f := byName["memory.numa_stat"]; len(f.Value) != 1024 {
		t.Errorf("memory.numa_stat has %d bytes; want the first 1024", len(f.Value))
	}
	if f := byName["cgroup.kill"]; !errors.Is(f.Err, fs.ErrPermission) {
		t.Errorf("cgroup.kill = %+v; want write-only", f)
	}
	if byName["odd.file"].Meaning != "" || Meaning("hugetlb.2MB.max") == "" {
		t.Error("Meaning: odd.file has one or hugetlb.2MB.max has none")
	}
}

func TestDeleteFake(t *testing.T) {
	g, dir := fakeGroup(t, map[string]string{"child/x": ""})
	if err := os.Remove(filepath.Join(dir, "child/x")); err != nil {
		t.Fatal(err)
	}
	if err := g.Delete(t.Context()); err != nil {
		t.Errorf("Delete = %v", err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the prefix folder after the last group: %v; want it gone", err)
	}
	if err := g.Delete(t.Context()); err != nil {
		t.Errorf("Delete of a group that is gone = %v; want nil", err)
	}
}

func TestVacateFake(t *testing.T) {
	hs := fakeV2(t, "cpu")
	own := filepath.Join(hs.List[0].MountPoint, "own")
	g, err := Vacate(own, "leaf")
	if err != nil || g.Places[0].Dir != filepath.Join(own, "leaf") {
		t.Errorf("Vacate = %+v, %v", g, err)
	}
}

func TestMeasurementShare(t *testing.T) {
	m := Measurement{Samples: []Sample{{At: time.Second, Used: time.Second}, {At: 2 * time.Second, Used: 0}}}
	if got := m.Share(); got != 0.5 {
		t.Errorf("Share() = %v; want 0.5", got)
	}
	if got := (Measurement{}).Share(); got != 0 {
		t.Errorf("Share() of nothing = %v; want 0", got)
	}
}
