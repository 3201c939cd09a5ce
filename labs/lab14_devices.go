package labs

import (
	"context"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo"
	"cutaway/cgroupdemo/workload"
	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// noZero forbids one device and leaves the rest as it was.
func noZero(*bench.Bench) (cgroupdemo.Spec, error) {
	return cgroupdemo.Spec{LinuxResources: specs.LinuxResources{
		Devices: []specs.LinuxDeviceCgroup{{Allow: false, Type: "c", Major: ref(int64(1)), Minor: ref(int64(5)), Access: "rwm"}},
	}}, nil
}

// The same rule in both versions: which can be shown depends on the machine,
// and a hybrid one shows both.
var (
	listedGroup   = devicesGroup("listed", cgroupdemo.V1)
	filteredGroup = devicesGroup("filtered", cgroupdemo.V2)
)

func devicesGroup(name string, v cgroupdemo.Version) labGroup {
	return labGroup{name: name, controllers: []cgroupdemo.Controller{cgroupdemo.Devices},
		use: map[cgroupdemo.Controller]cgroupdemo.Version{cgroupdemo.Devices: v}}
}

func devicesListStep() bench.Step {
	return devicesStep(bench.Step{
		Name: "devices-list", Needs: needs("cgroup.v1.devices"),
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				return append(listedGroup.createLines(b), listedGroup.setLines(b, noZero)...)
			},
			Tools: []bench.Tool{bench.Mkdir},
		},
	}, listedGroup)
}

func devicesProgramStep() bench.Step {
	return devicesStep(bench.Step{
		Name: "devices-program", Needs: needs("cgroup.v2.devices"),
		ByHand: bench.ByHand{None: "version 2 has no file for device rules: a BPF program is loaded and attached with bpf(2), and no shell tool assembles one"},
	}, filteredGroup)
}

// devicesStep fills in what both versions share.
func devicesStep(s bench.Step, l labGroup) bench.Step {
	s.Extra, s.Reproduces, s.Intend = true, []string{"cg-devices"}, l.intend
	s.Do = func(ctx context.Context, b *bench.Bench) error {
		if err := l.create(ctx, b); err != nil {
			return err
		}
		return l.set(b, noZero)
	}
	s.Look = []bench.View{
		l.settings(noZero),
		{Title: "what open(2) answers", Columns: []string{"in the group", "outside"}, Read: l.readOpens},
	}
	s.Expect = []evidence.Expectation{
		evidence.Becomes("in the group the device cannot be opened: EPERM", "/dev/zero", evidence.Equals("EPERM")),
		evidence.ColumnsDiffer("outside the group it can: the node and its mode are the same", "/dev/zero", 0, 1),
		evidence.Becomes("in the group, a device that no rule names still opens", "/dev/null", evidence.Equals("works")),
	}
	return s
}

// readOpens has one process open devices, outside and then in the group.
func (l labGroup) readOpens(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	h, err := l.enter(ctx, b)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	var facts []evidence.Fact
	for _, path := range []string{"/dev/zero", "/dev/null"} {
		in := answer(h.Call(ctx, workload.RequestOpen, workload.OpenArgs{Path: path, Flags: unix.O_RDONLY}, nil))
		file, err := os.Open(path)
		if err == nil {
			file.Close()
		}
		facts = append(facts, evidence.F(path, "open(2) by a process of ours", in, answer(err)))
	}
	return facts, nil
}
