package labs

import (
	"context"
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/cgroupdemo"
	"cutaway/cgroupdemo/workload"
	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// highMiB is small, and the program takes little more: a group is slowed down
// the more, the further it is above memory.high.
const highMiB = 32

var slowGroup = labGroup{name: "slow", controllers: []cgroupdemo.Controller{cgroupdemo.Memory}}

func highLimit(*bench.Bench) (cgroupdemo.Spec, error) {
	return cgroupdemo.Spec{LinuxResources: specs.LinuxResources{
		Unified: map[string]string{"memory.high": fmt.Sprint(highMiB << 20)},
	}}, nil
}

// memoryHighStep shows what version 1 has nothing for: to slow down, not kill.
func memoryHighStep() bench.Step {
	return bench.Step{
		Name: "high", Extra: true, Needs: needs("cgroup.v2.memory"),
		Intend: slowGroup.intend,
		Do:     eatAboveHigh,
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				lines := append(slowGroup.createLines(b), slowGroup.setLines(b, highLimit)...)
				program := fmt.Sprintf("{ head -c %d /dev/zero; exec sleep 1000; } | tail > /dev/null", (highMiB+1)<<20)
				return append(lines, slowGroup.inGroup(b, program)+" & echo $! > slow.pid",
					"until [ $(cat "+slowGroup.dirOf(b, cgroupdemo.Memory)+"/memory.current) -ge "+fmt.Sprint(highMiB<<20)+" ]; do sleep 0.05; done")
			},
			Tools: append([]bench.Tool{bench.Mkdir, bench.Sleep, bench.Cat}, eatTools...),
		},
		Look: []bench.View{slowGroup.settings(highLimit), {Title: "a group above memory.high", Read: readSlow}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the group is above its memory.high and was let go on", "use, % of memory.high", evidence.AtLeast(98)),
			evidence.Becomes("the kernel counts how often it slowed the group down", "times above high", evidence.AtLeast(1)),
			evidence.Becomes("nobody was killed", "OOM kills", evidence.Equals("0")),
		},
	}
}

// eatAboveHigh starts a program that takes a little more than memory.high.
func eatAboveHigh(ctx context.Context, b *bench.Bench) error {
	if err := slowGroup.create(ctx, b); err != nil {
		return err
	}
	if err := slowGroup.set(b, highLimit); err != nil {
		return err
	}
	h, err := slowGroup.start(ctx, b, "slow")
	if err != nil {
		return err
	}
	work(h, workload.RequestAllocate, workload.AllocateArgs{Bytes: (highMiB + 1) << 20, Step: 1 << 20, Hold: long})
	g, _, err := slowGroup.open(b)
	if err != nil {
		return err
	}
	return waitFor(ctx, "the program has its memory", func() bool { return g.Memory().Usage.Value >= highMiB<<20 })
}

func readSlow(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	g, _, err := slowGroup.open(b)
	if err != nil {
		return nil, err
	}
	m := g.Memory()
	if m.Usage.Err != nil {
		return nil, m.Usage.Err
	}
	if err := waitFor(ctx, "the slowing down is counted", func() bool { return g.Memory().Events.Value["high"] > 0 }); err != nil {
		return nil, err
	}
	high := m.Events
	count := cgroupdemo.Reading[uint64]{Value: g.Memory().Events.Value["high"], Path: high.Path, Err: high.Err}
	return []evidence.Fact{
		evidence.F("use, % of memory.high", m.Usage.Path, fmt.Sprintf("%.1f", 100*float64(m.Usage.Value)/(highMiB<<20))),
		reading("times above high", count),
		reading("OOM kills", m.OOMKills),
	}, nil
}

// meminfoMiB is a line of /proc/meminfo.
func meminfoMiB(text, name string, otherwise int64) int64 {
	for line := range strings.Lines(text) {
		var kib int64
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				return kib >> 10
			}
		}
	}
	return otherwise
}
