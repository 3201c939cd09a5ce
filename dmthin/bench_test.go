package dmthin_test

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"cutaway/dmthin"
	"cutaway/internal/needs"
)

// BenchmarkSnapAgainstDmsetup makes thin snapshots with our ioctl and with
// dmsetup(8), in turn, in the guest where this kernel has no device mapper.
func BenchmarkSnapAgainstDmsetup(b *testing.B) {
	if hostHasDM() != nil {
		out := again(b, "-test.run", "^$", "-test.bench", "SnapAgainst", "-test.benchtime", "1x")
		report(b, out)
		return
	}
	needs.Program(b, "dmsetup", "dmsetup")
	p := loopPool(b, control(b), dmthin.PoolSpec{})
	must(b, p.CreateThin(1))
	const rounds = 40
	var ours, theirs []time.Duration
	for i := range uint32(rounds) {
		ours = append(ours, timed(b, func() error { return p.CreateSnap(1000+i, 1) }))
		theirs = append(theirs, timed(b, func() error {
			return exec.Command("dmsetup", "message", p.Name(), "0", fmt.Sprintf("create_snap %d 1", 2000+i)).Run()
		}))
	}
	a, z := median(ours), median(theirs)
	b.ReportMetric(float64(a.Microseconds()), "µs/ours")
	b.ReportMetric(float64(z.Microseconds()), "µs/dmsetup")
	b.ReportMetric(float64(z)/float64(a), "dmsetup/ours")
}

func timed(b *testing.B, do func() error) time.Duration {
	b.Helper()
	start := time.Now()
	must(b, do())
	return time.Since(start)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// report hands the guest's figures on.
func report(b *testing.B, out string) {
	for _, unit := range []string{"µs/ours", "µs/dmsetup", "dmsetup/ours"} {
		m := regexp.MustCompile(`([0-9.]+) ` + unit).FindStringSubmatch(out)
		if m == nil {
			b.Fatalf("no %s in\n%s", unit, out)
		}
		value, err := strconv.ParseFloat(m[1], 64)
		must(b, err)
		b.ReportMetric(value, unit)
	}
}
