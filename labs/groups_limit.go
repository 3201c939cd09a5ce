package labs

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"cutaway/cgroupdemo"
	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// limit is what a step sets on a group. It is asked for on the bench, since a
// limit may depend on the machine or on the learner's choice.
type limit func(*bench.Bench) (cgroupdemo.Spec, error)

// fixed is a limit that is the same everywhere.
func fixed(s cgroupdemo.Spec) limit {
	return func(*bench.Bench) (cgroupdemo.Spec, error) { return s, nil }
}

// set writes the limit into the group's files.
func (l labGroup) set(b *bench.Bench, want limit) error {
	g, _, err := l.open(b)
	if err != nil {
		return err
	}
	s, err := want(b)
	if err != nil {
		return err
	}
	_, err = g.Set(s)
	return err
}

// setting is set as an act of its own.
func (l labGroup) setting(want limit) func(context.Context, *bench.Bench) error {
	return func(_ context.Context, b *bench.Bench) error { return l.set(b, want) }
}

// writes is the limit in the kernel's words. Where it cannot be planned,
// setting it says why.
func (l labGroup) writes(b *bench.Bench, want limit) (*cgroupdemo.Group, []cgroupdemo.Write) {
	g, _, err := l.open(b)
	if err != nil {
		return nil, nil
	}
	s, err := want(b)
	if err != nil {
		return nil, nil
	}
	return g, g.PlanFor(s).Writes
}

// setLines write the limit by hand.
func (l labGroup) setLines(b *bench.Bench, want limit) []string {
	var lines []string
	g, writes := l.writes(b, want)
	for _, w := range writes {
		p, err := g.Place(w.Controller)
		if err != nil {
			return nil
		}
		lines = append(lines, l.short(b, fmt.Sprintf("echo '%s' > %s", w.Value, filepath.Join(p.Dir, w.File))))
	}
	return lines
}

// settings shows each file of the limit as the kernel has it now, beside the
// file that the other version would have used for the same wish.
func (l labGroup) settings(want limit) bench.View {
	return bench.View{
		Title:   "the setting, in the words of both versions",
		Columns: []string{"version here", "value now", "file in the other version", "its value"},
		Read: func(_ context.Context, b *bench.Bench) ([]evidence.Fact, error) {
			g, writes := l.writes(b, want)
			var facts []evidence.Fact
			for _, w := range writes {
				if w.Controller == cgroupdemo.Devices { // its files can only be written
					facts = append(facts, settingFact(w, g.DeviceRules()))
					continue
				}
				p, err := g.Place(w.Controller)
				if err != nil {
					return facts, err
				}
				facts = append(facts, settingFact(w, cgroupdemo.ReadText(p.Dir, w.File)))
			}
			return facts, nil
		},
	}
}

func settingFact(w cgroupdemo.Write, now cgroupdemo.Reading[string]) evidence.Fact {
	value := strings.TrimSpace(now.Value)
	if now.Err != nil {
		value = evidence.Absent
	}
	var files, values []string
	for _, o := range w.Other {
		files, values = append(files, o.File), append(values, o.Value)
	}
	if len(files) == 0 {
		files, values = []string{"none"}, []string{"none"}
	}
	return evidence.F(w.File, now.Path, w.Version.String(), value, strings.Join(files, "; "), strings.Join(values, "; "))
}

// reading is a control file as a fact. A file that is not there is absent.
func reading[T any](name string, r cgroupdemo.Reading[T]) evidence.Fact {
	value := fmt.Sprint(r.Value)
	if n, ok := any(r.Value).(uint64); ok && n == math.MaxUint64 {
		value = "unlimited"
	}
	if r.Err != nil {
		value = evidence.Absent
	}
	return evidence.F(name, r.Path, value)
}

// ref is a pointer to a value, for the optional fields of a limit.
func ref[T any](v T) *T { return &v }
