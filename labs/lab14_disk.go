package labs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo"
	"cutaway/cgroupdemo/workload"
	"cutaway/internal/evidence"
	"cutaway/internal/inside"
	"cutaway/labs/bench"
)

// diskRate is the limit in bytes a second: so low that any machine is faster.
const diskRate = 1 << 20

func diskStep() bench.Step {
	return bench.Step{
		Name: "disk", Needs: needs("loop"),
		Intend: intendDisk,
		Do:     attachDisk,
		ByHand: bench.ByHand{
			Lines: attachDiskByHand,
			Tools: []bench.Tool{bench.Truncate, bench.Losetup},
		},
		Look: []bench.View{{Title: "a block device made of a file", Read: readLoopDisk}},
		Expect: []evidence.Expectation{
			evidence.Becomes("the loop device stands on our file", "backing file", evidence.Contains("cutaway-disk-")),
			evidence.Becomes("it is as large as the file", "size, bytes", evidence.Equals(fmt.Sprint(diskBytes))),
		},
	}
}

var writerGroup = labGroup{name: "writer", controllers: []cgroupdemo.Controller{cgroupdemo.IO}}

// slowDisk limits writes to the loop device, by its numbers.
func slowDisk(b *bench.Bench) (cgroupdemo.Spec, error) {
	var stat unix.Stat_t
	if err := unix.Stat(diskDevice(b), &stat); err != nil {
		return cgroupdemo.Spec{}, fmt.Errorf("stat %s: %w", diskDevice(b), err)
	}
	device := specs.LinuxBlockIODevice{Major: int64(unix.Major(stat.Rdev)), Minor: int64(unix.Minor(stat.Rdev))}
	return cgroupdemo.Spec{LinuxResources: specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{
		ThrottleWriteBpsDevice: []specs.LinuxThrottleDevice{{LinuxBlockIODevice: device, Rate: diskRate}},
	}}}, nil
}

func throttleStep() bench.Step {
	return bench.Step{
		Name: "throttle", Reproduces: []string{"cg-io"}, Needs: needs("loop"),
		Intend: writerGroup.intend,
		Do: func(ctx context.Context, b *bench.Bench) error {
			if err := writerGroup.create(ctx, b); err != nil {
				return err
			}
			return writerGroup.set(b, slowDisk)
		},
		ByHand: bench.ByHand{
			Lines: func(b *bench.Bench) []string {
				lines := append(writerGroup.createLines(b), writerGroup.setLines(b, slowDisk)...)
				dd := "dd if=/dev/zero of=" + diskDevice(b) + " bs=64k count=16 oflag=direct"
				return append(lines, dd, writerGroup.inGroup(b, dd))
			},
			Tools: []bench.Tool{bench.Mkdir, bench.DD},
		},
		Look: []bench.View{
			writerGroup.settings(slowDisk),
			{Title: "writes to the loop device, measured", Columns: []string{"in the group", "outside"}, Read: readWriting},
			{Title: "the group's own account", Read: readWritten},
		},
		Expect: []evidence.Expectation{
			evidence.Becomes("in the group, writes run at about the limit of 1 MiB a second", "write rate, MiB/s", evidence.Between(0.3, 1.4)),
			evidence.Custom("outside, the same writes are at least three times as fast", []string{"write rate, MiB/s"}, func(o evidence.Observed) evidence.Verdict {
				in, okI := evidence.Number(o.After.Column("write rate, MiB/s", 0))
				out, okO := evidence.Number(o.After.Column("write rate, MiB/s", 1))
				return evidence.Judged(okI && okO && in > 0 && out >= 3*in, "outside at least three times the rate inside", fmt.Sprintf("%g and %g MiB/s", out, in))
			}),
			evidence.Becomes("the group was charged what it wrote", "written by the group, KiB", evidence.AtLeast(512)),
		},
	}
}

// readWriting has a process write past the page cache, in the group and
// outside, and reads from the device how much arrived.
func readWriting(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	in, err := writerGroup.enter(ctx, b)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	out, err := inside.Start(ctx, inside.Config{})
	if err != nil {
		return nil, err
	}
	defer out.Close()
	limited, err := writeRate(ctx, b, in)
	if err != nil {
		return nil, err
	}
	free, err := writeRate(ctx, b, out)
	if err != nil {
		return nil, err
	}
	return []evidence.Fact{evidence.F("write rate, MiB/s", deviceStat(b)+", over wall time", fmt.Sprintf("%.2f", limited), fmt.Sprintf("%.2f", free))}, nil
}

func deviceStat(b *bench.Bench) string {
	return "/sys/block/" + filepath.Base(diskDevice(b)) + "/stat"
}

// writeRate has the same amount written, however long it takes: MiB a second, from the sectors that the device counts as
// written: the seventh number of its stat (block/stat.rst).
func writeRate(ctx context.Context, b *bench.Bench, h *inside.Helper) (float64, error) {
	before, err := sectorsWritten(deviceStat(b))
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := h.Call(ctx, workload.RequestWrite, workload.WriteArgs{Path: diskDevice(b), Block: 64 << 10, Limit: diskRate * 5 / 4, For: 10 * time.Second}, nil); err != nil {
		return 0, err
	}
	wall := time.Since(begin).Seconds()
	after, err := sectorsWritten(deviceStat(b))
	return float64(after-before) * 512 / (1 << 20) / wall, err
}

func sectorsWritten(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var n [7]int64
	if _, err := fmt.Sscan(string(text), &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6]); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n[6], nil
}

func readWritten(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	g, _, err := writerGroup.open(b)
	if err != nil {
		return nil, err
	}
	account := g.IO()
	var written uint64
	for _, d := range account.Value {
		written += d.WriteBytes
	}
	sum := cgroupdemo.Reading[uint64]{Value: written >> 10, Path: account.Path, Err: account.Err}
	return []evidence.Fact{reading("written by the group, KiB", sum)}, nil
}
