package labs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
)

// trial compares containers that differ in one part of their config.json: each
// of them tries the same things.
type trial struct {
	bundles []bundle
	tries   []try
	// first is done before the containers are run, and firstLines by hand.
	first      func(*bench.Bench) error
	firstLines []string
	tools      []bench.Tool
}

// try is a shell command that is given to each container. What came of it is
// in NAME.file.
type try struct{ name, file, command string }

func (t trial) act(ctx context.Context, b *bench.Bench) error {
	if t.first != nil {
		if err := t.first(b); err != nil {
			return err
		}
	}
	for _, x := range t.bundles {
		if err := x.run(ctx, b); err != nil {
			return err
		}
	}
	for _, try := range t.tries {
		for _, x := range t.bundles {
			if err := x.attempt(b, try); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t trial) intend(b *bench.Bench) ([]journal.Undo, error) { return intendBundles(t.bundles...)(b) }

func (t trial) names() []string {
	var names []string
	for _, x := range t.bundles {
		names = append(names, x.name)
	}
	return names
}

func (t trial) byHand() bench.ByHand {
	return bench.ByHand{Tools: append(slices.Concat(bundleTools, t.tools), bench.Ps, bench.Grep, bench.Sleep), Lines: func(b *bench.Bench) []string {
		lines := slices.Clone(t.firstLines)
		for _, x := range t.bundles {
			lines = append(lines, x.writeLines(b)...)
		}
		each := "for c in " + strings.Join(t.names(), " ") + "; do "
		lines = append(lines,
			each+ociLine+"run --detach --bundle $c --pid-file $c.pid $c > $c.out 2>&1 < /dev/null; done",
			each+"until ps -o comm= --ppid $(cat $c.pid) | grep -qx sleep; do sleep 0.01; done; done")
		for _, try := range t.tries {
			file := "$c." + try.file
			lines = append(lines, each+ociLine+"exec $c sh -c "+shellQuote(try.command)+" > "+file+" 2>&1 < /dev/null; echo exit $? >> "+file+"; done")
		}
		return lines
	}}
}

// trialRow is a row of a table with a column for each container.
type trialRow struct {
	name, from string // %s is the container's pid or name
	read       func(b *bench.Bench, x bundle, pid int) (string, error)
}

// view puts the containers beside each other.
func (t trial) view(title string, rows ...trialRow) bench.View {
	return bench.View{Title: title, Columns: t.names(), Read: func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
		var facts []evidence.Fact
		var errs []error
		for _, r := range rows {
			f := evidence.F(r.name, r.from)
			for _, x := range t.bundles {
				value := evidence.Absent
				if pid, err := b.Pid(x.name); err == nil {
					if value, err = r.read(b, x, pid); err != nil {
						value = evidence.Absent
						errs = append(errs, err)
					}
				}
				f.Values = append(f.Values, value)
			}
			facts = append(facts, f)
		}
		return facts, errors.Join(errs...)
	}}
}

// tryRow tells what came of a try.
func tryRow(t try) trialRow {
	return trialRow{t.name, "cat NAME." + t.file, func(b *bench.Bench, x bundle, _ int) (string, error) {
		return x.attempted(b, t), nil
	}}
}

// statusRow is a line of /proc/PID/status.
func statusRow(name, field string) trialRow {
	return trialRow{name, field + " in /proc/PID/status", func(_ *bench.Bench, _ bundle, pid int) (string, error) {
		value, err := statusField(pid, field)
		return strings.Join(strings.Fields(value), " "), err
	}}
}

// limitRow is a line of /proc/PID/limits.
func limitRow(name, line string) trialRow {
	return trialRow{name, line + " in /proc/PID/limits", func(_ *bench.Bench, _ bundle, pid int) (string, error) {
		soft, _, err := resourceLimit(pid, line)
		return soft, err
	}}
}

// outcomes claims what came of a try in each container: "allowed", or a part of
// the words in which it was refused.
func (t trial) outcomes(claim string, what try, want ...string) evidence.Expectation {
	return evidence.Custom(claim, []string{what.name}, func(o evidence.Observed) evidence.Verdict {
		ok := true
		var wanted, got []string
		for i, w := range want {
			v := o.After.Column(what.name, i)
			ok = ok && v != evidence.Absent && strings.Contains(strings.ToLower(v), strings.ToLower(w))
			wanted, got = append(wanted, t.bundles[i].name+": "+w), append(got, t.bundles[i].name+": "+v)
		}
		return evidence.Judged(ok, strings.Join(wanted, "; "), strings.Join(got, "; "))
	})
}

// refused is how a refusal looks in a table.
func refused(why string) string { return fmt.Sprintf("refused: %s", why) }
