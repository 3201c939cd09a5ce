package labs

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"cutaway/cgroupdemo"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
)

// The labs on control groups share what stands here: where their groups are,
// how one is made in Go and by hand, and how a control file becomes a fact.

// group names a group of this run in every hierarchy that has one of the
// controllers. It may not exist yet.
func group(b *bench.Bench, name string, controllers ...cgroupdemo.Controller) (*cgroupdemo.Group, *cgroupdemo.Hierarchies, error) {
	hs, err := cgroupdemo.Read("/proc")
	if err != nil {
		return nil, nil, err
	}
	g, err := cgroupdemo.Open(hs, cgroupdemo.Config{
		Prefix: "cutaway-" + b.RunID(), Name: name, Controllers: controllers,
	})
	return g, hs, err
}

// createGroup is an act: mkdir in every hierarchy that the group needs.
func createGroup(name string, controllers ...cgroupdemo.Controller) func(context.Context, *bench.Bench) error {
	return func(_ context.Context, b *bench.Bench) error {
		g, hs, err := group(b, name, controllers...)
		if err != nil {
			return err
		}
		_, err = cgroupdemo.Create(hs, g.Config)
		return err
	}
}

// createGroupByHand are the same steps as shell lines.
func createGroupByHand(name string, controllers ...cgroupdemo.Controller) func(*bench.Bench) []string {
	return func(b *bench.Bench) []string {
		var lines []string
		for _, s := range groupSteps(b, name, controllers...) {
			lines = append(lines, s.Shell())
		}
		return lines
	}
}

// intendGroup lists what creating the group will make: folders, and on version
// 2 the controllers that groups above it hand on.
func intendGroup(name string, controllers ...cgroupdemo.Controller) func(*bench.Bench) ([]journal.Undo, error) {
	return func(b *bench.Bench) ([]journal.Undo, error) {
		var undos []journal.Undo
		for _, s := range groupSteps(b, name, controllers...) {
			switch {
			case s.Op == cgroupdemo.OpMkdir:
				undos = append(undos, journal.Undo{Kind: journal.RemoveCgroup, Path: s.Path})
			case filepath.Base(s.Path) == "cgroup.subtree_control":
				undos = append(undos, journal.Undo{Kind: journal.ControlOff, Path: s.Path, Name: strings.ReplaceAll(s.Value, "+", "-")})
			}
		}
		return undos, nil
	}
}

// groupSteps plans the group. Where it cannot be planned there is nothing to
// show; creating it says why.
func groupSteps(b *bench.Bench, name string, controllers ...cgroupdemo.Controller) []cgroupdemo.Step {
	g, hs, err := group(b, name, controllers...)
	if err != nil {
		return nil
	}
	steps, err := g.CreateSteps(hs)
	if err != nil {
		return nil
	}
	return steps
}

// reading is a control file as a fact. A file that is not there is absent.
func reading[T any](name string, r cgroupdemo.Reading[T]) evidence.Fact {
	value := fmt.Sprint(r.Value)
	switch v := any(r.Value).(type) {
	case uint64:
		if v == math.MaxUint64 {
			value = "unlimited"
		}
	}
	if r.Err != nil {
		value = evidence.Absent
	}
	return evidence.F(name, r.Path, value)
}
