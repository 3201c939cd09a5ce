package labs

import (
	"context"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/cgroupdemo"
	"cutaway/cgroupdemo/workload"
	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// cpuLab is lab 11: a quota of CPU time, set and changed while two busy loops run.
func cpuLab() bench.Lab {
	return bench.Lab{ID: "11", Name: "cpu", Needs: needs("cgroup.delegation"), Steps: []bench.Step{
		cpuFreeStep(),
		cpuOneStep(),
		cpuHalfStep(),
	}}
}

var busyGroup = labGroup{name: "busy", controllers: cpuTime}

// preferred gives the group the highest weight, so that on a busy machine
// nothing but its own quota holds it back.
func preferred(*bench.Bench) (cgroupdemo.Spec, error) {
	return cgroupdemo.Spec{CPUWeight: ref(uint64(10_000))}, nil
}

// quota is CPU time in microseconds for each period of 100 milliseconds.
func quota(microseconds int64) limit {
	return fixed(cgroupdemo.Spec{LinuxResources: specs.LinuxResources{
		CPU: &specs.LinuxCPU{Quota: &microseconds, Period: ref(uint64(100_000))},
	}})
}

func cpuFreeStep() bench.Step {
	return bench.Step{
		Name:   "free",
		Intend: busyGroup.intend,
		Do:     startBusy,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				lines := append(busyGroup.createLines(b), busyGroup.setLines(b, preferred)...)
				for _, name := range []string{"loop1", "loop2"} {
					lines = append(lines, busyLine(name), busyGroup.moveLine(b, name))
				}
				return lines
			},
			Tools: []bench.Tool{bench.Mkdir, bench.Cat},
		},
		Look: []bench.View{busyGroup.settings(preferred), busyView("free")},
		Expect: []evidence.Expectation{
			evidence.Becomes("without a quota the two loops use more than one CPU", "CPU use", evidence.AtLeast(130)),
			evidence.Becomes("nothing is ever throttled", "periods throttled while measuring", evidence.Equals("0")),
		},
	}
}

// startBusy makes the group and starts two busy loops in it.
func startBusy(ctx context.Context, b *bench.Bench) error {
	if err := busyGroup.create(ctx, b); err != nil {
		return err
	}
	if err := busyGroup.set(b, preferred); err != nil {
		return err
	}
	h, err := busyGroup.start(ctx, b, "loops")
	if err != nil {
		return err
	}
	work(h, workload.RequestBurn, workload.BurnArgs{Threads: 2, For: long})
	return nil
}

func cpuOneStep() bench.Step {
	whole := quota(100_000)
	return bench.Step{
		Name: "one", Reproduces: []string{"cg-cpu-one"},
		Do:     busyGroup.setting(whole),
		ByHand: quotaByHand(whole),
		Look:   []bench.View{busyGroup.settings(whole), busyView("one")},
		Expect: []evidence.Expectation{
			evidence.Becomes("with the quota as long as the period the group uses about one CPU", "CPU use", evidence.Between(50, 120)),
			evidence.Becomes("the quota ran out in most periods", "periods throttled while measuring", evidence.AtLeast(5)),
		},
	}
}

func cpuHalfStep() bench.Step {
	half := quota(50_000)
	return bench.Step{
		Name: "half", Reproduces: []string{"cg-cpu-half"},
		Do:     busyGroup.setting(half),
		ByHand: quotaByHand(half),
		Look:   []bench.View{busyGroup.settings(half), busyView("half"), {Title: "throttling since the group was made", Read: readThrottling}},
		Plot:   plotPhases,
		Expect: []evidence.Expectation{
			evidence.Becomes("the running loops are held to half a CPU at once", "CPU use", evidence.Between(20, 68)),
			rises("the count of throttled periods goes on rising", "throttled periods"),
			rises("so does the time that threads spent throttled", "time throttled, ms"),
		},
	}
}

func quotaByHand(want limit) bench.ByHand {
	return bench.ByHand{Lines: func(b *bench.Bench) []string {
		return append(busyGroup.nameLines(b), busyGroup.setLines(b, want)...)
	}}
}

// rises claims that a counter went up by the time the act was measured.
func rises(claim, fact string) evidence.Expectation {
	return evidence.Custom(claim, []string{fact, "CPU use"}, func(o evidence.Observed) evidence.Verdict {
		before, okB := evidence.Number(o.Before.Value(fact))
		after, okA := evidence.Number(o.After.Value(fact))
		slow, okS := evidence.Number(o.After.Value("CPU use"))
		ok := okB && okA && okS && after > before && slow < 75
		return evidence.Judged(ok, fact+" above "+o.Before.Value(fact)+" while use is below 75 %", o.After.Value(fact)+", at "+o.After.Value("CPU use"))
	})
}

// phase is one measurement with the moment at which it began.
type phase struct {
	begin   time.Time
	samples []cgroupdemo.Sample
}

// busyView measures the group for a second: CPU time from its own account,
// over wall time.
func busyView(step string) bench.View {
	return bench.View{Title: "what the group uses, measured for a second", Read: func(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		g, _, err := busyGroup.open(b)
		if err != nil {
			return nil, err
		}
		if err := needTwoCPUs(); err != nil {
			return nil, err
		}
		begin := time.Now()
		m, err := measureBusy(ctx, g)
		if err != nil {
			return nil, err
		}
		// A plot shows the last measurement before the act, and the one after it.
		bench.Get[*phases](b, "phases").add(b, step, phase{begin, m.Samples})
		var throttled uint64
		for _, s := range m.Samples {
			throttled += s.Throttled
		}
		count := g.CPU().Throttled
		count.Value = throttled
		return []evidence.Fact{
			evidence.F("CPU use", m.Path+" over wall time", percent(m.Share())),
			reading("periods throttled while measuring", count),
		}, nil
	}}
}

// measureBusy takes ten samples of a tenth of a second. On a machine where we
// ourselves got no turn for half a second it looks again, twice at most: a quota
// says what a group may have, not what is left for it.
func measureBusy(ctx context.Context, g *cgroupdemo.Group) (m cgroupdemo.Measurement, err error) {
	for range 3 {
		m, err = g.MeasureCPU(ctx, 100*time.Millisecond, 10)
		if err != nil || m.Samples[len(m.Samples)-1].At < 1500*time.Millisecond {
			break
		}
	}
	return m, err
}

// phases are the measurements of the last step that was performed.
type phases struct {
	step string
	list []phase
}

func (p *phases) add(b *bench.Bench, step string, one phase) {
	if p == nil || p.step != step {
		p = &phases{step: step}
		b.Set("phases", p)
	}
	p.list = append(p.list, one)
}

func readThrottling(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	g, _, err := busyGroup.open(b)
	if err != nil {
		return nil, err
	}
	u := g.CPU()
	ms := cgroupdemo.Reading[int64]{Value: u.ThrottledTime.Value.Milliseconds(), Path: u.ThrottledTime.Path, Err: u.ThrottledTime.Err}
	return []evidence.Fact{
		reading("periods", u.Periods),
		reading("throttled periods", u.Throttled),
		reading("time throttled, ms", ms),
	}, nil
}

// plotPhases draws both measurements of the step on one axis of time.
func plotPhases(_ context.Context, b *bench.Bench) (evidence.Plot, error) {
	plot := evidence.Plot{
		Title: "CPU use of the group, from its own account", X: "s", Y: "% of a CPU",
		Lines: []evidence.Line{{Name: "two busy loops"}},
	}
	p := bench.Get[*phases](b, "phases")
	if p == nil {
		return plot, nil
	}
	for i, phase := range p.list {
		offset := phase.begin.Sub(p.list[0].begin).Seconds()
		if i > 0 {
			plot.Marks = append(plot.Marks, evidence.Marker{X: offset, Name: "the quota is halved"})
		}
		for _, s := range phase.samples {
			plot.Lines[0].Points = append(plot.Lines[0].Points, [2]float64{offset + s.At.Seconds(), s.Share * 100})
		}
	}
	return plot, nil
}
