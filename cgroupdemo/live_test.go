package cgroupdemo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo/workload"
	"cutaway/internal/inside"
	"cutaway/internal/needs"
)

func TestMain(m *testing.M) {
	inside.Main()
	os.Exit(m.Run())
}

// The live tests act on this machine's own hierarchies, in groups below
// cutaway-test-<pid>, with whichever version serves each controller.

// live makes a group that is removed, with all its processes, when the test ends.
func live(t *testing.T, name string, controllers ...Controller) *Group {
	t.Helper()
	return liveWith(t, Config{Name: name, Controllers: controllers})
}

func liveWith(t *testing.T, cfg Config) *Group {
	t.Helper()
	needs.Root(t)
	hs, err := Read("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cfg.Controllers {
		_, ok := hs.Find(c)
		if v := cfg.Use[c]; v != 0 {
			_, ok = hs.In(c, v)
		}
		if !ok {
			needs.Missing(t, fmt.Sprintf("cgroup controller %s (mounted on v1, or in cgroup.controllers)", c))
		}
	}
	if !strings.HasPrefix(cfg.Name, "cutaway-test-") {
		cfg.Prefix = fmt.Sprintf("cutaway-test-%d", os.Getpid())
	}
	g, err := Create(hs, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(g.Kill(ctx), g.Delete(ctx)); err != nil {
			t.Errorf("clean up: %v", err)
		}
		for _, dir := range g.dirs() {
			if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("left behind: %s", dir)
			}
		}
	})
	return g
}

// helper starts a process in the group that does workloads.
func helper(t *testing.T, g *Group) *inside.Helper {
	t.Helper()
	h, err := inside.Start(t.Context(), inside.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	if err := g.Attach(h.Pid()); err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends a request and gives the answer when it comes.
func ask[R any](t *testing.T, h *inside.Helper, name string, args any) <-chan R {
	t.Helper()
	answer := make(chan R, 1)
	go func() {
		var r R
		if err := h.Call(t.Context(), name, args, &r); err != nil && t.Context().Err() == nil {
			t.Errorf("%s: %v", name, err)
		}
		answer <- r
	}()
	return answer
}

func set(t *testing.T, g *Group, s Spec) {
	t.Helper()
	if _, err := g.Set(s); err != nil {
		t.Fatal(err)
	}
}

func cpus(quota int64) Spec {
	return Spec{LinuxResources: specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: &quota, Period: ptr(uint64(100000))}}}
}

func TestLiveTable(t *testing.T) {
	hs, err := Read("/proc")
	if err != nil {
		t.Fatal(err)
	}
	own, err := hs.GroupOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("mode %s, %d trees", hs.Mode(), len(hs.List))
	for _, r := range hs.Table() {
		t.Logf("%-9s %-4s %2d %-30s groups %d delegated %v", r.Controller, r.Version, r.Hierarchy, r.MountPoint, r.Groups.Value, r.Delegated == nil)
		if r.Version == 0 {
			continue
		}
		h, _ := hs.Find(r.Controller)
		if got := own[h.Label()].Value; got != r.Own {
			t.Errorf("own group of %s = %s; want %s", r.Controller, got, r.Own)
		}
		if _, err := os.Stat(filepath.Join(r.Own, "cgroup.procs")); err != nil {
			t.Errorf("own group of %s: %v", r.Controller, err)
		}
	}
}

func TestLiveCreateAndDelete(t *testing.T) {
	g := live(t, "create")
	files, err := g.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Path == "" || f.Name == "" {
			t.Errorf("file %+v lacks a path or a name", f)
		}
		if f.Meaning == "" {
			t.Logf("no meaning for %s", f.Name)
		}
	}
	h := helper(t, g)
	pids, err := g.Processes()
	if !slices.Equal(pids, []int{h.Pid()}) || err != nil {
		t.Errorf("Processes = %v, %v; want the helper, %d", pids, err, h.Pid())
	}
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := g.Delete(short); !errors.Is(err, unix.EBUSY) {
		t.Errorf("Delete with a process inside = %v; want EBUSY", err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.Delete(t.Context()); err != nil {
		t.Errorf("Delete without one = %v", err)
	}
	if err := g.Delete(t.Context()); err != nil {
		t.Errorf("Delete again = %v; want nil", err)
	}
}

// TestLiveHandedIsTakenBack looks at cgroup.subtree_control of the groups above.
func TestLiveHandedIsTakenBack(t *testing.T) {
	g := live(t, "handed", HugeTLB)
	handed := slices.Clone(g.Handed)
	if err := g.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, h := range handed {
		for _, c := range h.Controllers {
			// Somebody else on the machine may have come to need it.
			if handsOn(h.Dir, []string{c}) && !errors.Is(h.TakeBack(), unix.EBUSY) {
				t.Errorf("%s still hands on %s", h.Dir, c)
			}
		}
	}
}

func TestLiveBirthInGroup(t *testing.T) {
	g := live(t, "birth", Core)
	dir, err := g.OpenDir()
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	h, err := inside.Start(t.Context(), inside.Config{Attr: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if pids, err := g.Processes(); !slices.Equal(pids, []int{h.Pid()}) {
		t.Errorf("Processes = %v, %v; want the helper, %d, without an attach", pids, err, h.Pid())
	}
}

func TestLiveKill(t *testing.T) {
	for _, way := range []string{"cgroup.kill", "one by one", "one by one, frozen"} {
		t.Run(way, func(t *testing.T) { killHelper(t, way) })
	}
}

func killHelper(t *testing.T, way string) {
	whole := live(t, "kill", PIDs, Freezer)
	g := &Group{Config: whole.Config, Places: slices.Clone(whole.Places)}
	if way != "cgroup.kill" {
		g.Places = slices.DeleteFunc(g.Places, func(p Place) bool { return p.Version == V2 })
		if len(g.Places) == 0 {
			t.Skip("there is nothing but version 2 here")
		}
	}
	h := helper(t, g)
	if way == "one by one, frozen" {
		if err := g.Freeze(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Kill(t.Context()); err != nil {
		t.Errorf("Kill = %v", err)
	}
	err := h.Call(t.Context(), workload.RequestAllocate, workload.AllocateArgs{}, nil)
	var gone *inside.Gone
	if !errors.As(err, &gone) || gone.State.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
		t.Errorf("after Kill the helper answers %v; want ErrGone by SIGKILL", err)
	}
	h.Close()
	if err := whole.Delete(t.Context()); err != nil {
		t.Errorf("Delete = %v", err)
	}
}

func TestLiveFreeze(t *testing.T) {
	for _, use := range []Version{V1, V2} {
		t.Run(use.String(), func(t *testing.T) {
			hs, err := Read("/proc")
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := hs.In(Freezer, use); !ok {
				t.Skipf("this machine has no %s hierarchy for the freezer", use)
			}
			g := liveWith(t, Config{Name: "freeze", Controllers: []Controller{Freezer}, Use: map[Controller]Version{Freezer: use}})
			h := helper(t, g)
			counter := filepath.Join(t.TempDir(), "counter")
			answer := ask[uint64](t, h, workload.RequestCount, workload.CountArgs{Path: counter, For: 5 * time.Second})
			waitUntil(t, "the counter runs", func() bool { return counted(counter) > 5 })
			if err := g.Freeze(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := counted(counter)
			time.Sleep(100 * time.Millisecond)
			if after := counted(counter); after != before || g.FreezerState().Value != Frozen {
				t.Errorf("frozen: counter %d, then %d, state %s; want it to stand still", before, after, g.FreezerState().Value)
			}
			if err := g.Thaw(t.Context()); err != nil {
				t.Fatal(err)
			}
			waitUntil(t, "the counter goes on", func() bool { return counted(counter) > before })
			if last := <-answer; last <= before {
				t.Errorf("last number %d; want more than %d", last, before)
			}
		})
	}
}

// counted is 0 as long as there is no counter.
func counted(path string) uint64 {
	n, _ := workload.ReadCount(path)
	return n
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for begin := time.Now(); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

func TestLivePids(t *testing.T) {
	g := live(t, "pids", PIDs)
	h := helper(t, g)
	const limit = 60 // the helper's own threads count too
	set(t, g, Spec{LinuxResources: specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(limit))}}})
	answer := ask[workload.Forked](t, h, workload.RequestFork, workload.ForkArgs{Max: 200, Hold: 50 * time.Millisecond})
	waitUntil(t, "the limit is reached", func() bool { return g.PIDs().Refused.Value > 0 })
	if now := g.PIDs(); now.Current.Value > limit {
		t.Errorf("%d tasks; want at most %d", now.Current.Value, limit)
	}
	got := <-answer
	if got.Errno != unix.EAGAIN || got.Made >= limit || got.Made < limit/2 {
		t.Errorf("fork bomb = %+v; want EAGAIN after somewhat less than %d", got, limit)
	}
	if pids, _ := g.Processes(); len(pids) != 1 {
		t.Errorf("after the bomb there are %v; want the helper alone", pids)
	}
	t.Logf("forked %d of %d, then %s; refused %d", got.Made, limit, got.Error, g.PIDs().Refused.Value)
}

func TestLiveAttachThreadAndErrors(t *testing.T) {
	g := live(t, "threads", PIDs)
	if err := g.Attach(1 << 30); !errors.Is(err, unix.ESRCH) {
		t.Errorf("Attach of nobody = %v; want ESRCH", err)
	}
	h := helper(t, g)
	err := g.AttachThread(PIDs, h.Pid())
	if g.VersionOf(PIDs) == V1 && err != nil || g.VersionOf(PIDs) == V2 && err == nil {
		t.Logf("AttachThread on %s = %v", g.VersionOf(PIDs), err)
	}
	if _, err := g.Set(Spec{LinuxResources: specs.LinuxResources{Unified: map[string]string{"cgroup.no_such_file": "1"}}}); !errors.Is(err, unix.ENOENT) && g.VersionOf(Core) == V2 {
		t.Errorf("Set of a missing file = %v; want ENOENT", err)
	}
}

// TestLiveNoInternalProcesses needs a v2 controller that counts whole processes.
// The others (cpu, cpuset, pids) can be threaded: with them the kernel takes the
// process in and makes the group "domain threaded", its children useless to us.
func TestLiveNoInternalProcesses(t *testing.T) {
	hs, err := Read("/proc")
	if err != nil {
		t.Fatal(err)
	}
	domain := []Controller{Memory, IO, HugeTLB, RDMA}
	i := slices.IndexFunc(domain, func(c Controller) bool { return hs.VersionOf(c) == V2 })
	if i < 0 {
		t.Skip("memory, io, hugetlb and rdma are not on version 2 here")
	}
	c := domain[i]
	parent := live(t, "internal", c)
	child := liveWith(t, Config{Name: "internal/child", Controllers: []Controller{c}})
	h, err := inside.Start(t.Context(), inside.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	err = parent.Attach(h.Pid())
	if !errors.Is(err, unix.EBUSY) {
		t.Errorf("Attach to a group that hands on %s = %v; want EBUSY", c, err)
	}
	t.Logf("%+v", Explain(VerbAttach, err))
	if err := child.Attach(h.Pid()); err != nil {
		t.Errorf("Attach to the leaf = %v", err)
	}
	// The other way round: a group with a process may not begin to hand on.
	err = writeFile(filepath.Join(child.dirs()[0], "cgroup.subtree_control"), "+"+c.NameIn(V2))
	if !errors.Is(err, unix.EBUSY) {
		t.Errorf("subtree_control of a group with a process = %v; want EBUSY", err)
	}
	leaf, err := Vacate(child.dirs()[0], "leaf")
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(child.dirs()[0], "cgroup.subtree_control"), "+"+c.NameIn(V2)); err != nil {
		t.Errorf("subtree_control after Vacate = %v", err)
	}
	if pids, _ := leaf.Processes(); !slices.Equal(pids, []int{h.Pid()}) {
		t.Errorf("after Vacate the leaf holds %v; want %d", pids, h.Pid())
	}
}

func TestLiveGroupSurvivesJSON(t *testing.T) {
	g := live(t, "json", PIDs)
	var copy Group
	if err := roundTrip(g, &copy); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*g, copy); diff != "" {
		t.Errorf("a group through JSON (-want +got):\n%s", diff)
	}
	if err := copy.Delete(t.Context()); err != nil {
		t.Errorf("Delete of the copy = %v", err)
	}
}
