package cgroupdemo

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo/workload"
	"cutaway/internal/inside"
	"cutaway/internal/needs"
)

func roundTrip(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

// tries repeats a measurement that a busy machine may spoil: few times, and the
// last word counts.
func tries(t *testing.T, measure func() error) {
	t.Helper()
	var err error
	for range 4 {
		if err = measure(); err == nil {
			return
		}
		t.Logf("measured again: %v", err)
	}
	t.Error(err)
}

// urgent is a name without a prefix folder, so that the group's weight counts
// against all others on the machine: other work shall not spoil the measurement.
func urgent(name string) string { return fmt.Sprintf("cutaway-test-%s-%d", name, os.Getpid()) }

func TestLiveCPUQuota(t *testing.T) {
	g := live(t, urgent("quota"), CPU, CPUAcct)
	set(t, g, Spec{CPUWeight: ptr(uint64(10000))})
	h := helper(t, g)
	ask[workload.Burned](t, h, workload.RequestBurn, workload.BurnArgs{Threads: 2, For: time.Minute})
	for _, quota := range []int64{50000, 100000, 50000} {
		set(t, g, cpus(quota)) // while it runs
		tries(t, func() error {
			before := g.CPU()
			m, err := g.MeasureCPU(t.Context(), 200*time.Millisecond, 5)
			if err != nil {
				return err
			}
			after, want := g.CPU(), float64(quota)/100000
			t.Logf("quota %d: share %.3f of %s; samples %v", quota, m.Share(), m.Path, m.Samples)
			// A limit may be undershot on a busy machine, never overshot by more
			// than the last period.
			if got := m.Share(); got > want*1.2 || got < want*0.7 {
				return errors.New("share is not near the quota")
			}
			if after.Throttled.Value <= before.Throttled.Value || after.ThrottledTime.Value <= before.ThrottledTime.Value {
				return fmt.Errorf("throttled %d times, before %d", after.Throttled.Value, before.Throttled.Value)
			}
			return nil
		})
	}
}

// TestLiveInherit: the parent's limit binds the child, whatever the child has.
func TestLiveInherit(t *testing.T) {
	parent := live(t, urgent("parent"), CPU, CPUAcct)
	set(t, parent, Spec{CPUWeight: ptr(uint64(10000)), LinuxResources: cpus(50000).LinuxResources})
	child := liveWith(t, Config{Name: parent.Config.Name + "/child", Controllers: []Controller{CPU, CPUAcct}})
	_, err := child.Set(cpus(150000))
	if child.VersionOf(CPU) == V1 && !errors.Is(err, unix.EINVAL) {
		t.Errorf("v1 child with more than its parent = %v; want EINVAL", err)
	}
	if child.VersionOf(CPU) == V2 && err != nil {
		t.Errorf("v2 child with more than its parent = %v; want nil, the parent binds", err)
	}
	h := helper(t, child)
	ask[workload.Burned](t, h, workload.RequestBurn, workload.BurnArgs{Threads: 2, For: time.Minute})
	tries(t, func() error {
		m, err := child.MeasureCPU(t.Context(), 200*time.Millisecond, 5)
		if err == nil && (m.Share() > 0.6 || m.Share() < 0.35) {
			t.Logf("share %.3f", m.Share())
			err = errors.New("share is not near the parent's 0.5")
		}
		return err
	})
}

func TestLiveCPUWeight(t *testing.T) {
	names, weights := []string{"heavy", "light"}, []uint64{200, 100}
	var groups []*Group
	for i, name := range names {
		g := live(t, name, CPU, CPUAcct, CPUSet)
		one := g.CPUSet().EffectiveCPUs.Value[:1] // both on one CPU, or they would not meet
		set(t, g, Spec{CPUWeight: &weights[i], LinuxResources: specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: one}}})
		ask[workload.Burned](t, helper(t, g), workload.RequestBurn, workload.BurnArgs{Threads: 1, For: time.Minute})
		groups = append(groups, g)
	}
	tries(t, func() error {
		heavy, light := groups[0].CPU().Total.Value, groups[1].CPU().Total.Value
		time.Sleep(1500 * time.Millisecond)
		heavy, light = groups[0].CPU().Total.Value-heavy, groups[1].CPU().Total.Value-light
		ratio := heavy.Seconds() / light.Seconds()
		t.Logf("2 to 1: %v and %v, ratio %.2f", heavy, light, ratio)
		if math.Abs(ratio-2) > 0.4 {
			return errors.New("ratio is not near 2")
		}
		return nil
	})
}

func TestLiveCPUSet(t *testing.T) {
	g := live(t, "cpuset", CPUSet)
	one := g.CPUSet().EffectiveCPUs.Value[:1]
	set(t, g, Spec{LinuxResources: specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: one}}})
	got := <-ask[workload.Burned](t, helper(t, g), workload.RequestBurn, workload.BurnArgs{Threads: 3, For: 300 * time.Millisecond})
	if got.Allowed != one || !slices.Equal(got.CPUs, []int{int(one[0] - '0')}) {
		t.Errorf("pinned to %s: allowed %q, ran on %v", one, got.Allowed, got.CPUs)
	}
	if eff := g.CPUSet().EffectiveCPUs; eff.Value != one {
		t.Errorf("effective CPUs %+v; want %s", eff, one)
	}
}

// TestLiveAccount holds the group's bill against what the program says it used.
func TestLiveAccount(t *testing.T) {
	g := live(t, "account", CPUAcct, Memory, PIDs)
	h := helper(t, g)
	before := g.CPU().Total.Value
	got := <-ask[workload.Burned](t, h, workload.RequestBurn, workload.BurnArgs{Threads: 1, For: 500 * time.Millisecond})
	billed, said := g.CPU().Total.Value-before, got.User+got.System
	// The bill has also what the helper did to take the request and to answer.
	if billed < said*95/100 || billed > said*125/100+50*time.Millisecond {
		t.Errorf("the group was billed %v, the program says %v", billed, said)
	}
	const size = 32 << 20
	answer := ask[int](t, h, workload.RequestAllocate, workload.AllocateArgs{Bytes: size, Step: 1 << 20, Hold: 5 * time.Second})
	waitUntil(t, "the memory is charged", func() bool { return g.Memory().Usage.Value > size })
	m := g.Memory()
	if m.Anon.Value < size*9/10 || m.Stat.Err != nil || m.Peak.Err != nil {
		t.Errorf("memory by kind: anon %d of %d, %v, %v", m.Anon.Value, size, m.Stat.Err, m.Peak.Err)
	}
	if took := <-answer; took != size {
		t.Errorf("the program took %d; want %d", took, size)
	}
	if p := g.PIDs(); p.Current.Value < 2 || p.Max.Value != Unlimited {
		t.Errorf("tasks = %+v; want the helper's threads, without limit", p)
	}
}

func memoryLimit(n int64) Spec {
	return Spec{LinuxResources: specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &n}}}
}

func TestLiveMemory(t *testing.T) {
	const limit = 64 << 20
	g := live(t, "memory", Memory)
	set(t, g, memoryLimit(limit))
	if got := g.Memory().Limit; got.Value != limit {
		t.Errorf("limit read back = %+v; want %d", got, limit)
	}
	swapless := strings.Count(ReadText("/proc", "swaps").Value, "\n") == 0
	if !swapless { // it would take what does not fit
		set(t, g, Spec{LinuxResources: specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(limit)), Swap: ptr(int64(limit))}}})
	}
	fits := helper(t, g)
	if got := <-ask[int](t, fits, workload.RequestAllocate, workload.AllocateArgs{Bytes: limit / 2, Step: 1 << 20}); got != limit/2 {
		t.Errorf("half the limit: took %d; want %d", got, limit/2)
	}
	if m := g.Memory(); m.OOMKills.Value != 0 || m.Peak.Value < limit/2 || m.Peak.Value > limit {
		t.Errorf("after half the limit: %d kills, peak %d", m.OOMKills.Value, m.Peak.Value)
	}
	fits.Close()

	watch, err := g.WatchOOM()
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	big := helper(t, g)
	err = big.Call(t.Context(), workload.RequestAllocate, workload.AllocateArgs{Bytes: limit * 3 / 2, Step: 1 << 20}, nil)
	var gone *inside.Gone
	if !errors.As(err, &gone) || gone.State.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
		t.Fatalf("1.5 times the limit = %v; want the helper killed by SIGKILL", err)
	}
	oom, err := watch.Wait(t.Context())
	if err != nil || oom.Kills != 1 || oom.Events < 1 {
		t.Errorf("OOM report = %+v, %v; want one kill and its event", oom, err)
	}
	m := g.Memory()
	// The kernel lets a page or so pass that it cannot refuse, so the peak may
	// lie a little above the limit.
	if m.OOMKills.Value != 1 || m.Peak.Value > limit*101/100 || m.Peak.Value < limit*9/10 || swapless && m.AtLimit.Value == 0 {
		t.Errorf("after the kill: %d kills, peak %d, %d times at the limit; want 1, near %d, some", m.OOMKills.Value, m.Peak.Value, m.AtLimit.Value, limit)
	}
	t.Logf("limit %d, peak %d, kills %d (%s), at the limit %d times", limit, m.Peak.Value, m.OOMKills.Value, m.OOMKills.Path, m.AtLimit.Value)
}

// TestLiveMemorySwap raises and lowers limits in both directions, where v1 has an order.
func TestLiveMemorySwap(t *testing.T) {
	g := live(t, "swap", Memory)
	for _, n := range []int64{32 << 20, 128 << 20, 64 << 20, -1} {
		s := Spec{LinuxResources: specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(n), Swap: ptr(n)}}}
		plan, err := g.Set(s)
		if errors.Is(err, unix.ENOENT) {
			t.Skipf("no swap accounting (CONFIG_SWAP, swapaccount=1): %v", err)
		}
		if err != nil {
			t.Fatalf("limit and swap %d: %v; plan %v", n, err, lines(plan))
		}
		want := uint64(n)
		if n < 0 {
			want = Unlimited
		}
		if got := g.Memory().Limit.Value; got != want {
			t.Errorf("limit = %d; want %d", got, want)
		}
	}
}

func TestLiveDevices(t *testing.T) {
	rules := []specs.LinuxDeviceCgroup{denyAll, rule(true, "c", 1, 3, "rwm")} // null alone
	for _, use := range []Version{V1, V2} {
		t.Run(use.String(), func(t *testing.T) {
			hs, err := Read("/proc")
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := hs.In(Devices, use); !ok {
				t.Skipf("this machine has no %s hierarchy for devices", use)
			}
			if use == V2 {
				if err := ProbeDeviceProgram(); err != nil {
					needs.Missing(t, "BPF device programs (CONFIG_CGROUP_BPF): "+err.Error())
				}
			}
			g := liveWith(t, Config{Name: "devices", Controllers: []Controller{Devices}, Use: map[Controller]Version{Devices: use}})
			h := helper(t, g)
			open := func(path string) error {
				return h.Call(t.Context(), workload.RequestOpen, workload.OpenArgs{Path: path, Flags: unix.O_RDONLY}, nil)
			}
			if err := open("/dev/zero"); err != nil {
				t.Errorf("before the rules: %v", err)
			}
			for range 2 { // the second time replaces the first
				set(t, g, Spec{LinuxResources: specs.LinuxResources{Devices: rules}})
			}
			if err := open("/dev/zero"); !errors.Is(err, unix.EPERM) {
				t.Errorf("denied device = %v; want EPERM", err)
			}
			if err := open("/dev/null"); err != nil {
				t.Errorf("allowed device = %v", err)
			}
			t.Logf("%s: %q", g.DeviceRules().Path, g.DeviceRules().Value)
			if err := g.ClearDevices(); err != nil {
				t.Fatal(err)
			}
			if err := open("/dev/zero"); err != nil {
				t.Errorf("after the rules were taken off: %v", err)
			}
		})
	}
}
