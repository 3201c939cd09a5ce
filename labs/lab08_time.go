package labs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// timeLab is lab 08: clocks of one's own, but for the one on the wall.
func timeLab() bench.Lab {
	return bench.Lab{ID: "08", Name: "time", Needs: needs("ns.time"), Steps: []bench.Step{
		timeStartStep(),
		timeFrozenStep(),
	}}
}

// The learner's choices: by how many seconds each clock is put forward.
func boottimeOffset(b *bench.Bench) string  { return b.Param("boottime", "864000") } // ten days
func monotonicOffset(b *bench.Bench) string { return b.Param("monotonic", "3600") }  // an hour

func timeStartStep() bench.Step {
	return bench.Step{
		Name: "start", Inside: inner,
		Reproduces: []string{"ns-time-offset"},
		Do:         startWithOffsets,
		ByHand: bench.ByHand{
			// A time namespace is entered by children only, hence --fork.
			Lines: func(b *bench.Bench) []string {
				return []string{
					fmt.Sprintf("unshare --time --boottime %s --monotonic %s --fork sh -c 'echo $$ > inner.pid; exec sleep 1000' &",
						boottimeOffset(b), monotonicOffset(b)),
					"until [ -s inner.pid ]; do sleep 0.01; done",
					"nsenter --target $(cat inner.pid) --time cat /proc/uptime",
					"cat /proc/uptime",
				}
			},
			Tools: []bench.Tool{bench.Unshare, bench.Nsenter, bench.Cat, bench.Sleep},
		},
		Look: []bench.View{
			{Title: "namespace ids", Columns: []string{"inside", "host"}, Read: readIDs(nsdemo.Time, nsdemo.UTS)},
			{Title: "clocks", Columns: []string{"inside", "host"}, Read: readClocks},
			{Title: "how much each clock is ahead inside, in seconds", Read: readAhead},
		},
		Expect: []evidence.Expectation{
			evidence.ColumnsDiffer("the process has a time namespace of its own", "time", 0, 1),
			aheadBy("inside, CLOCK_BOOTTIME is ahead by what was chosen", "boottime", "CLOCK_BOOTTIME ahead"),
			aheadBy("inside, CLOCK_MONOTONIC is ahead by what was chosen for it", "monotonic", "CLOCK_MONOTONIC ahead"),
			aheadBy("the uptime that /proc shows to a reader inside has grown by as much", "boottime", "uptime ahead"),
			evidence.Is("CLOCK_REALTIME, the time of day, is the same on both sides", "CLOCK_REALTIME ahead", evidence.Between(-atOnce.Seconds(), atOnce.Seconds())),
		},
	}
}

// atOnce is how far apart two readings may be that are taken one after the
// other: on a busy machine some time passes in between.
const atOnce = 2 * time.Second

// aheadBy claims that a clock is ahead by the number of seconds that the learner
// chose.
func aheadBy(claim, param, fact string) evidence.Expectation {
	return evidence.Custom(claim, []string{fact}, func(o evidence.Observed) evidence.Verdict {
		want, _ := evidence.Number(o.Params[param])
		got, read := evidence.Number(o.After.Value(fact))
		_, before := o.Before[fact]
		ok := read && !before && math.Abs(got-want) <= atOnce.Seconds()
		return evidence.Judged(ok, fmt.Sprintf("%g seconds, give or take %g", want, atOnce.Seconds()), o.After.Value(fact))
	})
}

// startWithOffsets makes the namespace, sets its clocks while it is still
// empty, and only then lets the first process in.
func startWithOffsets(ctx context.Context, b *bench.Bench) error {
	monotonic, err := seconds("monotonic", monotonicOffset(b))
	if err != nil {
		return err
	}
	boottime, err := seconds("boottime", boottimeOffset(b))
	if err != nil {
		return err
	}
	p, err := nsdemo.Start(ctx, nsdemo.Spec{
		Kinds:   []nsdemo.Kind{nsdemo.Time},
		Offsets: nsdemo.Offsets{Monotonic: monotonic, Boottime: boottime},
	})
	if err != nil {
		return err
	}
	return b.Keep(inner, p)
}

func seconds(name, text string) (time.Duration, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("--set %s=%s: want a whole number of seconds: %w", name, text, err)
	}
	return time.Duration(n) * time.Second, nil
}

// clockFact is one clock on both sides.
type clockFact struct {
	name, from   string
	inside, host time.Duration
}

// bothClocks asks inside and on the host, as close to one another as it gets.
func bothClocks(ctx context.Context, b *bench.Bench) ([]clockFact, error) {
	boottimeOffset(b)
	monotonicOffset(b)
	p, err := b.Inside(ctx, inner)
	if err != nil {
		return nil, err
	}
	in, err := p.Clocks(ctx)
	if err != nil {
		return nil, err
	}
	host, err := nsdemo.ReadClocks()
	if err != nil {
		return nil, err
	}
	up, err := p.Uptime(ctx)
	if err != nil {
		return nil, err
	}
	hostUp, err := nsdemo.Uptime("/proc")
	return []clockFact{
		{"CLOCK_BOOTTIME", "clock_gettime(2)", in.Boottime, host.Boottime},
		{"uptime", "/proc/uptime", up, hostUp},
		{"CLOCK_MONOTONIC", "clock_gettime(2)", in.Monotonic, host.Monotonic},
		{"CLOCK_REALTIME", "clock_gettime(2)", in.Realtime, host.Realtime},
	}, err
}

// readClocks shows them as people read them.
func readClocks(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	clocks, err := bothClocks(ctx, b)
	var facts []evidence.Fact
	for _, c := range clocks {
		if c.name == "CLOCK_REALTIME" {
			facts = append(facts, evidence.F(c.name, c.from, timeOfDay(c.inside), timeOfDay(c.host)))
			continue
		}
		facts = append(facts, evidence.F(c.name, c.from, daysAndTime(c.inside), daysAndTime(c.host)))
	}
	return facts, err
}

func timeOfDay(sinceEpoch time.Duration) string {
	return time.Unix(0, int64(sinceEpoch)).UTC().Format("2006-01-02 15:04:05 UTC")
}

func daysAndTime(d time.Duration) string {
	if d < 0 {
		return "-" + daysAndTime(-d)
	}
	const day = 24 * time.Hour
	d = d.Truncate(time.Second)
	return fmt.Sprintf("%d d %02d:%02d:%02d", d/day, d%day/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second)
}

func wholeSeconds(d time.Duration) string {
	return fmt.Sprint(int64(d.Round(time.Second) / time.Second))
}

// readAhead subtracts the host's readings from the inner ones.
func readAhead(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	clocks, err := bothClocks(ctx, b)
	var facts []evidence.Fact
	for _, c := range clocks {
		facts = append(facts, evidence.F(c.name+" ahead", c.from+", inside less host", wholeSeconds(c.inside-c.host)))
	}
	return facts, err
}

func timeFrozenStep() bench.Step {
	return bench.Step{
		Name: "frozen", Inside: inner,
		ByHand: bench.ByHand{
			Lines: bench.Lines(
				"cat /proc/$(cat inner.pid)/timens_offsets",
				"! echo boottime 7 0 | tee /proc/$(cat inner.pid)/timens_offsets"),
			Tools: []bench.Tool{bench.Cat, {Program: "tee", Package: "coreutils"}},
		},
		Look: []bench.View{{Title: "the offsets of the namespace", Read: readOffsets}},
		Expect: []evidence.Expectation{
			isParam("the kernel tells the offset of CLOCK_BOOTTIME to everybody", "boottime"),
			isParam("the kernel tells the offset of CLOCK_MONOTONIC to everybody", "monotonic"),
			evidence.Is("with a process in the namespace, the offsets can be changed no more", "writing them again",
				evidence.Equals("EACCES")),
		},
	}
}

func isParam(claim, name string) evidence.Expectation {
	return evidence.Is(claim, name+" offset", evidence.Param(name))
}

// readOffsets reads timens_offsets of inner, and tries to write back the same.
func readOffsets(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	boottimeOffset(b)
	monotonicOffset(b)
	pid, err := b.Pid(inner)
	if err != nil {
		return nil, err
	}
	offsets, err := nsdemo.ReadOffsets("/proc", pid)
	if err != nil {
		return nil, err
	}
	file := fmt.Sprintf("/proc/%d/timens_offsets", pid)
	return []evidence.Fact{
		evidence.F("boottime offset", file, wholeSeconds(offsets.Boottime)),
		evidence.F("monotonic offset", file, wholeSeconds(offsets.Monotonic)),
		evidence.F("writing them again", "write(2) to "+file, answer(tryWrite(file, offsets.Text()))),
	}, nil
}

// tryWrite writes to a file of the kernel's that is there already.
func tryWrite(file, text string) error {
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	_, err = unix.Write(fd, []byte(text))
	return errors.Join(err, unix.Close(fd))
}
