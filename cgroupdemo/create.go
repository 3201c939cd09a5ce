package cgroupdemo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Op is what a [Step] does.
type Op string

// The two acts that making a group consists of.
const (
	OpMkdir Op = "mkdir"
	OpWrite Op = "write"
)

// Step is one act of [Create]; the shell can do it too.
type Step struct {
	Op    Op
	Path  string
	Value string
	Why   string
}

// Shell is the line that does the same by hand.
func (s Step) Shell() string {
	if s.Op == OpMkdir {
		return "mkdir " + s.Path
	}
	return fmt.Sprintf("echo '%s' > %s", s.Value, s.Path)
}

// Create makes the group: mkdir(2) in every hierarchy that it needs
// (cgroups(7)), with cgroup.subtree_control written on the way down on version
// 2 and the cpuset filled in on version 1. The group must not exist
// (fs.ErrExist); folders above it may. On an error what was made is removed.
func Create(hs *Hierarchies, cfg Config) (*Group, error) {
	g, err := Open(hs, cfg)
	if err != nil {
		return nil, err
	}
	steps := g.plan(hs)
	for _, dir := range g.dirs() {
		if !slices.ContainsFunc(steps, func(s Step) bool { return s.Op == OpMkdir && s.Path == dir }) {
			return nil, fmt.Errorf("create group %s: %s: %w", cfg.Name, dir, fs.ErrExist)
		}
	}
	return g.create(steps)
}

// Adopt is Create for a group that exists in some hierarchies: mkdir(2) in the
// others. One that is in all of them is left as it is. On an error what was made
// is removed.
func Adopt(hs *Hierarchies, cfg Config) (*Group, error) {
	g, err := Open(hs, cfg)
	if err != nil || !slices.ContainsFunc(g.dirs(), func(dir string) bool { return !exists(dir) }) {
		return g, err
	}
	return g.create(g.plan(hs))
}

// create does the steps, and takes them back if one fails.
func (g *Group) create(steps []Step) (*Group, error) {
	var made []string
	for _, s := range steps {
		if err := s.do(); err != nil {
			return nil, errors.Join(fmt.Errorf("create group %s: %w", g.Config.Name, g.explain(s, err)), g.uncreate(made))
		}
		if dir := filepath.Dir(s.Path); s.Op == OpMkdir {
			made = append(made, s.Path)
		} else if controllers, ok := s.handsOn(); ok && !slices.Contains(made, dir) {
			g.Handed = append(g.Handed, Handed{dir, controllers})
		}
	}
	return g, nil
}

// explain says what the step's error comes from, where that is a folder in which
// groups may not be made.
func (g *Group) explain(s Step, err error) error {
	above := filepath.Dir(s.Path)
	for _, p := range g.Places {
		if strings.HasPrefix(p.Dir, above+"/") {
			if missing := Delegation(p.Version, above); missing != nil {
				return missing
			}
		}
	}
	return err
}

// handsOn tells a write to cgroup.subtree_control, and the names in it.
func (s Step) handsOn() ([]string, bool) {
	return strings.Fields(strings.ReplaceAll(s.Value, "+", "")), filepath.Base(s.Path) == "cgroup.subtree_control"
}

// uncreate takes back, newest first. Only rmdir: a group with something in it stays.
func (g *Group) uncreate(made []string) error {
	var errs []error
	for _, dir := range slices.Backward(made) {
		errs = append(errs, rmdir(dir))
	}
	g.takeBack()
	return errors.Join(errs...)
}

func (s Step) do() error {
	if s.Op == OpWrite {
		return writeFile(s.Path, s.Value)
	}
	err := os.Mkdir(s.Path, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil // a folder above the leaf that somebody made in the meantime
	}
	return err
}

// writeFile writes a control file in one write(2), as the kernel wants it, and
// never creates one: a missing file is ENOENT, "the controller is not enabled".
func writeFile(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("write %q: %w", value, err)
	}
	_, err = f.WriteString(value)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("write %q: %w", value, err)
	}
	return nil
}

// CreateSteps plans what [Create] does. It reads what exists and changes nothing.
// Where it could not be done the error says why ([DelegationError]).
func (g *Group) CreateSteps(hs *Hierarchies) ([]Step, error) {
	for _, p := range g.Places {
		if err := Delegation(p.Version, firstExisting(p.Dir)); err != nil {
			return nil, fmt.Errorf("create group %s: %w", g.Config.Name, err)
		}
	}
	return g.plan(hs), nil
}

func (g *Group) plan(hs *Hierarchies) []Step {
	var steps []Step
	for _, dir := range g.dirs() {
		p := g.Places[slices.IndexFunc(g.Places, func(p Place) bool { return p.Dir == dir })]
		if p.Version == V1 {
			steps = append(steps, g.stepsV1(p)...)
		} else {
			steps = append(steps, g.stepsV2(hs, p)...)
		}
	}
	return steps
}

// stepsV1 fills the cpuset at each new level: a v1 cpuset is born empty, and
// nothing can be moved into a group that may run nowhere (ENOSPC).
func (g *Group) stepsV1(p Place) []Step {
	var steps []Step
	cpuset := g.serves(p.Dir, CPUSet)
	for _, dir := range append(wayDown(p.Base, p.Dir)[1:], p.Dir) {
		if !exists(dir) {
			steps = append(steps, mkdirStep(dir))
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if cpuset && strings.TrimSpace(ReadText(dir, file).Value) == "" {
				steps = append(steps, Step{OpWrite, filepath.Join(dir, file), inherited(dir, file),
					"a v1 cpuset is born empty and takes no process before it is filled: the parent's value"})
			}
		}
	}
	return steps
}

// inherited is the value of the nearest group above that has one.
func inherited(dir, file string) string {
	for above := filepath.Dir(dir); above != filepath.Dir(above); above = filepath.Dir(above) {
		if value := strings.TrimSpace(ReadText(above, file).Value); value != "" {
			return value
		}
	}
	return ""
}

// stepsV2 makes each level and then lets it hand on, top first.
func (g *Group) stepsV2(hs *Hierarchies, p Place) []Step {
	controllers := g.Config.v2Names(hs)
	if len(g.Config.Controllers) == 0 { // all that can be had: what the base was given
		given := strings.Fields(ReadText(p.Base, "cgroup.controllers").Value)
		controllers = slices.DeleteFunc(controllers, func(c string) bool { return !slices.Contains(given, c) })
	}
	var steps []Step
	for _, dir := range append(wayDown(p.Base, p.Dir), p.Dir) {
		if !exists(dir) {
			steps = append(steps, mkdirStep(dir))
		}
		if dir != p.Dir {
			steps = append(steps, handOn(dir, controllers)...)
		}
	}
	return steps
}

func mkdirStep(dir string) Step {
	return Step{Op: OpMkdir, Path: dir, Why: "a group is a directory; the kernel fills it with files"}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func firstExisting(dir string) string {
	for !exists(dir) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
	}
	return dir
}
