package labs

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"cutaway/cgroupdemo"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
)

// The labs on control groups share what stands here and in the groups_*.go
// files: where their groups are, how one is made in Go and by hand, how a
// limit is set and shown in both versions' words, how processes come in.

// labGroup is a group of a lab. Its controllers must be the same whenever it is
// named, since on version 2 they decide below which group it can stand.
type labGroup struct {
	name        string // "busy", or "team/member" to nest
	controllers []cgroupdemo.Controller
	use         map[cgroupdemo.Controller]cgroupdemo.Version
}

// open names the group in every hierarchy that it needs. It may not exist yet.
func (l labGroup) open(b *bench.Bench) (*cgroupdemo.Group, *cgroupdemo.Hierarchies, error) {
	hs, err := cgroupdemo.Read("/proc")
	if err != nil {
		return nil, nil, err
	}
	g, err := cgroupdemo.Open(hs, cgroupdemo.Config{
		Name: "cutaway-" + b.RunID() + "-" + l.name, Controllers: l.controllers, Use: l.use,
	})
	return g, hs, asUntestable(err)
}

// asUntestable tells what this machine does not let us do from what went wrong.
func asUntestable(err error) error {
	var undelegated *cgroupdemo.DelegationError
	switch {
	case errors.As(err, &undelegated):
		return &evidence.CannotTest{Reason: "no control groups can be made here: " + undelegated.Error(), WayOut: "or in a VM: cutaway lab --on vm"}
	case errors.Is(err, cgroupdemo.ErrNoController):
		return &evidence.CannotTest{Reason: err.Error(), WayOut: "a kernel that has it: cutaway lab --on vm"}
	}
	return err
}

// create is an act: mkdir(2) in every hierarchy that the group needs.
func (l labGroup) create(_ context.Context, b *bench.Bench) error {
	g, hs, err := l.open(b)
	if err != nil {
		return err
	}
	_, err = cgroupdemo.Create(hs, g.Config)
	return asUntestable(err)
}

// intend lists what creating the group will make: folders, and on version 2
// the controllers that groups above it hand on.
func (l labGroup) intend(b *bench.Bench) ([]journal.Undo, error) {
	return undoSteps(l.steps(b)), nil
}

// undoSteps lists how to take back what was made for a group.
func undoSteps(steps []cgroupdemo.Step) []journal.Undo {
	var undos []journal.Undo
	for _, s := range steps {
		switch {
		case s.Op == cgroupdemo.OpMkdir:
			undos = append(undos, journal.Undo{Kind: journal.RemoveCgroup, Path: s.Path})
		case filepath.Base(s.Path) == "cgroup.subtree_control":
			undos = append(undos, journal.Undo{Kind: journal.ControlOff, Path: s.Path, Name: strings.ReplaceAll(s.Value, "+", "-")})
		}
	}
	return undos
}

// intendAll is intend for a step that makes several groups.
func intendAll(groups ...labGroup) func(*bench.Bench) ([]journal.Undo, error) {
	return func(b *bench.Bench) ([]journal.Undo, error) {
		var all []journal.Undo
		for _, l := range groups {
			undos, err := l.intend(b)
			if err != nil {
				return nil, err
			}
			all = append(all, undos...)
		}
		return all, nil
	}
}

// steps plans the group. Where it cannot be planned there is nothing to show;
// creating it says why.
func (l labGroup) steps(b *bench.Bench) []cgroupdemo.Step {
	g, hs, err := l.open(b)
	if err != nil {
		return nil
	}
	steps, err := g.CreateSteps(hs)
	if err != nil {
		return nil
	}
	return steps
}

// shellName is a shell variable that holds one of the group's folders, so that
// shell lines stay short.
type shellName struct{ name, dir string }

// shellNames names the group's folders: $BUSY where there is one, else
// $BUSY_CPU, $BUSY_MEMORY and $BUSY_V2.
func (l labGroup) shellNames(b *bench.Bench) []shellName {
	g, _, err := l.open(b)
	if err != nil {
		return nil
	}
	var names []shellName
	for _, p := range g.Places {
		if slices.ContainsFunc(names, func(n shellName) bool { return n.dir == p.Dir }) {
			continue
		}
		word := "v2"
		if p.Version == cgroupdemo.V1 {
			word = p.Controller.NameIn(cgroupdemo.V1)
		}
		names = append(names, shellName{strings.ToUpper(filepath.Base(l.name) + "_" + word), p.Dir})
	}
	if len(names) == 1 {
		names[0].name = strings.ToUpper(filepath.Base(l.name))
	}
	return names
}

// nameLines set the variables. Exported, because lines start shells of their own.
func (l labGroup) nameLines(b *bench.Bench) []string {
	var lines []string
	for _, n := range l.shellNames(b) {
		lines = append(lines, "export "+n.name+"="+n.dir)
	}
	return lines
}

// short puts the variables in place of the folders.
func (l labGroup) short(b *bench.Bench, line string) string {
	for _, n := range l.shellNames(b) {
		line = strings.ReplaceAll(line, n.dir, "$"+n.name)
	}
	return line
}

// dirs are all folders of the group as shell words.
func (l labGroup) dirs(b *bench.Bench) string {
	var words []string
	for _, n := range l.shellNames(b) {
		words = append(words, "$"+n.name)
	}
	return strings.Join(words, " ")
}

// dirOf is the folder that serves one controller as a shell word.
func (l labGroup) dirOf(b *bench.Bench, c cgroupdemo.Controller) string {
	g, _, err := l.open(b)
	if err != nil {
		return ""
	}
	p, err := g.Place(c)
	if err != nil {
		return ""
	}
	return l.short(b, p.Dir)
}

// createLines make the group by hand, behind the lines that name its folders.
func (l labGroup) createLines(b *bench.Bench) []string {
	lines := l.nameLines(b)
	for _, s := range l.steps(b) {
		lines = append(lines, l.short(b, s.Shell()))
	}
	return lines
}

// versionOf is the version that serves a controller to the group.
func (l labGroup) versionOf(b *bench.Bench, c cgroupdemo.Controller) cgroupdemo.Version {
	g, _, err := l.open(b)
	if err != nil {
		return 0
	}
	return g.VersionOf(c)
}
