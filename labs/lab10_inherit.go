package labs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo"
	"cutaway/cgroupdemo/workload"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
)

func enterStep() bench.Step {
	return bench.Step{
		Name: "enter", Reproduces: []string{"cg-inherit"}, Needs: needs("cgroup.delegation"),
		Do: enterAndFork,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return append(firstGroup.nameLines(b),
					firstGroup.inGroup(b, "sleep 1000 & wait")+" & echo $! > parent.pid",
					"until [ $(wc -l < "+firstGroup.dirOf(b, cgroupdemo.PIDs)+"/cgroup.procs) -ge 2 ]; do sleep 0.01; done",
					"cat "+firstGroup.dirOf(b, cgroupdemo.PIDs)+"/cgroup.procs")
			},
			Tools: []bench.Tool{{Program: "wc", Package: "coreutils"}, bench.Sleep, bench.Cat},
		},
		Look: []bench.View{{Title: "who is in which group", Read: readFamily}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the process that was moved is in the group", "group of the parent", evidence.Contains("-first")),
			evidence.Same("its child was born in the same group: nobody moved it", "group of the child", "group of the parent"),
			evidence.Becomes("both are listed in cgroup.procs", "processes in the group", evidence.AtLeast(2)),
		},
	}
}

// enterAndFork writes a pid to cgroup.procs; that process then makes a child.
func enterAndFork(ctx context.Context, b *bench.Bench) error {
	h, err := firstGroup.start(ctx, b, "parent")
	if err != nil {
		return err
	}
	work(h, workload.RequestFork, workload.ForkArgs{Max: 1, Hold: long})
	return waitFor(ctx, "the child is there", func() bool { return childOf(b, h.Pid()) != 0 })
}

// childOf finds a process of the first group whose parent is pid; 0: none.
func childOf(b *bench.Bench, pid int) int {
	g, _, err := firstGroup.open(b)
	if err != nil {
		return 0
	}
	pids, _ := g.Processes() // a group that cannot be read has no child to show
	for _, p := range pids {
		if ppid, _ := statusField(p, "PPid"); ppid == strconv.Itoa(pid) {
			return p
		}
	}
	return 0
}

// readFamily reads /proc/PID/cgroup of the parent and of its child.
func readFamily(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	g, hs, err := firstGroup.open(b)
	if err != nil {
		return nil, err
	}
	pids, err := g.Processes()
	if err != nil {
		return nil, err
	}
	facts := []evidence.Fact{evidence.F("processes in the group", g.Places[0].Dir+"/cgroup.procs", fmt.Sprint(len(pids)))}
	parent, err := b.Pid("parent")
	if err != nil {
		return facts, err
	}
	for _, pid := range []int{parent, childOf(b, parent)} {
		name := "group of the child"
		if pid == parent {
			name = "group of the parent"
		}
		if path, err := membership(hs, pid, cgroupdemo.PIDs); err == nil {
			facts = append(facts, evidence.F(name, fmt.Sprintf("/proc/%d/cgroup", pid), path))
		}
	}
	return facts, nil
}

// A team that may use one CPU, and a member that is promised more.
var (
	cpuTime     = []cgroupdemo.Controller{cgroupdemo.CPU, cgroupdemo.CPUAcct}
	teamGroup   = labGroup{name: "team", controllers: cpuTime}
	memberGroup = labGroup{name: "team/member", controllers: cpuTime}
)

// oneCPU is a quota as long as its period. The weight is the highest there is,
// so that nothing but the quota holds the group back on a busy machine.
func oneCPU(*bench.Bench) (cgroupdemo.Spec, error) {
	return cgroupdemo.Spec{
		LinuxResources: specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ref(int64(100_000)), Period: ref(uint64(100_000))}},
		CPUWeight:      ref(uint64(10_000)),
	}, nil
}

// promise is more than the team has: two CPUs on version 2. Version 1 refuses
// a larger quota than the parent's, but "no limit" is a promise as well.
func promise(b *bench.Bench) (cgroupdemo.Spec, error) {
	quota := int64(200_000)
	if memberGroup.versionOf(b, cgroupdemo.CPU) == cgroupdemo.V1 {
		quota = -1
	}
	return cgroupdemo.Spec{LinuxResources: specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: &quota, Period: ref(uint64(100_000))}}}, nil
}

func inheritStep() bench.Step {
	return bench.Step{
		Name: "inherit", Reproduces: []string{"cg-inherit"}, Needs: needs("cgroup.delegation"),
		Intend: intendTeam,
		Do:     startTeam,
		ByHand: bench.ByHand{
			Lines: teamLines,
			Tools: []bench.Tool{bench.Mkdir, bench.Cat},
		},
		Look: []bench.View{
			teamGroup.settings(oneCPU),
			{Title: "what the member may use, and what it gets", Read: readMember},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("the member's own file promises more than one CPU", "the member's own quota", evidence.OneOf("unlimited", "2 CPUs")),
			evidence.Becomes("two busy loops in the member use one CPU together", "CPU use of the member", evidence.Between(40, 120)),
			evidence.Becomes("it is the team that was made to wait", "throttled periods of the team", evidence.AtLeast(1)),
		},
	}
}

// intendTeam plans both groups at once: the member cannot be planned by itself
// before the team is there.
func intendTeam(b *bench.Bench) ([]journal.Undo, error) { return memberGroup.intend(b) }

// startTeam makes both groups, sets both limits and starts two busy loops in the member.
func startTeam(ctx context.Context, b *bench.Bench) error {
	if err := memberGroup.create(ctx, b); err != nil {
		return err
	}
	if err := teamGroup.set(b, oneCPU); err != nil {
		return err
	}
	if err := memberGroup.set(b, promise); err != nil {
		return err
	}
	h, err := memberGroup.start(ctx, b, "loops")
	if err != nil {
		return err
	}
	work(h, workload.RequestBurn, workload.BurnArgs{Threads: 2, For: long})
	return nil
}

func teamLines(b *bench.Bench) []string {
	lines := teamGroup.nameLines(b)
	for _, line := range memberGroup.createLines(b) {
		lines = append(lines, teamGroup.short(b, line)) // the member's folders are in the team's
	}
	lines = append(lines, teamGroup.setLines(b, oneCPU)...)
	lines = append(lines, memberGroup.setLines(b, promise)...)
	for _, name := range []string{"loop1", "loop2"} {
		lines = append(lines, busyLine(name), memberGroup.moveLine(b, name))
	}
	return lines
}

// busyLine is a loop that never ends.
func busyLine(name string) string {
	return "sh -c 'while :; do :; done' & echo $! > " + name + ".pid"
}

// needTwoCPUs: on a machine with one CPU a quota of one CPU binds nobody.
func needTwoCPUs() error {
	if len(allowedCPUs()) < 2 {
		return &evidence.CannotTest{Reason: "this machine lets us run on one CPU only, so a limit of one CPU cannot be felt", WayOut: "cutaway lab --on vm"}
	}
	return nil
}

// allowedCPUs are the CPUs that we may run on: sched_getaffinity(2).
func allowedCPUs() []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var list []int
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			list = append(list, cpu)
		}
	}
	return list
}

func readMember(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	if err := needTwoCPUs(); err != nil {
		return nil, err
	}
	team, _, err := teamGroup.open(b)
	if err != nil {
		return nil, err
	}
	member, _, err := memberGroup.open(b)
	if err != nil {
		return nil, err
	}
	quota, err := readQuota(member)
	if err != nil {
		return nil, err
	}
	before := team.CPU().Throttled.Value
	m, err := member.MeasureCPU(ctx, 100*time.Millisecond, 7)
	if err != nil {
		return nil, err
	}
	throttled := team.CPU().Throttled
	throttled.Value -= before
	return []evidence.Fact{
		quota,
		evidence.F("CPU use of the member", m.Path+" over wall time", percent(m.Share())),
		reading("throttled periods of the team", throttled),
	}, nil
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", share*100) }

// readQuota is cpu.cfs_quota_us over cpu.cfs_period_us, or the two words of cpu.max.
func readQuota(g *cgroupdemo.Group) (evidence.Fact, error) {
	p, err := g.Place(cgroupdemo.CPU)
	if err != nil {
		return evidence.Fact{}, err
	}
	var quota, period string
	file := filepath.Join(p.Dir, "cpu.max")
	if p.Version == cgroupdemo.V1 {
		file = filepath.Join(p.Dir, "cpu.cfs_quota_us")
		quota, period = cgroupdemo.ReadText(p.Dir, "cpu.cfs_quota_us").Value, cgroupdemo.ReadText(p.Dir, "cpu.cfs_period_us").Value
	} else {
		fmt.Sscan(cgroupdemo.ReadText(p.Dir, "cpu.max").Value, &quota, &period)
	}
	if quota == "max" || quota == "-1" {
		return evidence.F("the member's own quota", file, "unlimited"), nil
	}
	q, errQ := strconv.ParseFloat(quota, 64)
	d, errD := strconv.ParseFloat(period, 64)
	if errQ != nil || errD != nil || d == 0 {
		return evidence.Fact{}, fmt.Errorf("quota %q of period %q in %s: %w", quota, period, file, os.ErrNotExist)
	}
	return evidence.F("the member's own quota", file, fmt.Sprintf("%g CPUs", q/d)), nil
}
