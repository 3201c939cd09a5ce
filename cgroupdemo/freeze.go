package cgroupdemo

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Freeze stops every process of the group where it stands: FROZEN into
// freezer.state (cgroup-v1/freezer-subsystem.rst) or 1 into cgroup.freeze
// (cgroup-v2.rst), and waits until the kernel says that all have stopped. If
// ctx ends before that, the group is thawed again.
func (g *Group) Freeze(ctx context.Context) error {
	err := g.switchFreezer(ctx, true)
	if err != nil {
		// A half-frozen group would hang whoever waits for its processes.
		_ = g.Thaw(context.WithoutCancel(ctx))
	}
	return err
}

// Thaw lets them go on: THAWED into freezer.state or 0 into cgroup.freeze.
func (g *Group) Thaw(ctx context.Context) error { return g.switchFreezer(ctx, false) }

func (g *Group) switchFreezer(ctx context.Context, freeze bool) error {
	p, err := g.Place(Freezer)
	if err != nil {
		return err
	}
	file, value, want := freezerWords(p.Version, freeze)
	for try := 1; ; try++ {
		// A program of several threads that is in the middle of execve(2) waits for
		// the end of the others, and those are frozen already: version 1 would wait
		// for ever. Letting all go for a moment gets it over that point.
		if freeze && p.Version == V1 && try%10 == 0 {
			if err := letGo(ctx, p.Dir); err != nil {
				return fmt.Errorf("freeze group %s: %w", g.Config.Name, err)
			}
		}
		// Version 1 may stay in FREEZING when a process was just being forked or
		// traced; writing again makes the kernel look again.
		if err := writeFile(filepath.Join(p.Dir, file), value); err != nil {
			return fmt.Errorf("freeze group %s: %w", g.Config.Name, err)
		}
		state := g.FreezerState()
		if state.Err != nil {
			return state.Err
		}
		if state.Value == want {
			return nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("freeze group %s: state is still %s, want %s (%s): %w", g.Config.Name, state.Value, want, state.Path, err)
		}
	}
}

func letGo(ctx context.Context, dir string) error {
	if err := writeFile(filepath.Join(dir, "freezer.state"), Thawed); err != nil {
		return err
	}
	return pause(ctx, time.Millisecond)
}

func freezerWords(v Version, freeze bool) (file, value, want string) {
	switch {
	case v == V1 && freeze:
		return "freezer.state", Frozen, Frozen
	case v == V1:
		return "freezer.state", Thawed, Thawed
	case freeze:
		return "cgroup.freeze", "1", Frozen
	}
	return "cgroup.freeze", "0", Thawed
}

// The states of a freezer, in version 1's words.
const (
	Frozen   = "FROZEN"
	Freezing = "FREEZING" // asked for, and some process still runs
	Thawed   = "THAWED"
)

// FreezerState reads freezer.state, or, on version 2, "frozen" of
// cgroup.events (are all stopped?) and cgroup.freeze (was it asked for?).
func (g *Group) FreezerState() Reading[string] {
	p, err := g.Place(Freezer)
	if err != nil {
		return Reading[string]{Err: err}
	}
	if p.Version == V1 {
		return ReadText(p.Dir, "freezer.state")
	}
	asked := strings.TrimSpace(ReadText(p.Dir, "cgroup.freeze").Value) == "1"
	return convert(pick(ReadTable(p.Dir, "cgroup.events"), "frozen"), func(frozen uint64) (string, error) {
		switch {
		case frozen == 1:
			return Frozen, nil
		case asked:
			return Freezing, nil
		}
		return Thawed, nil
	})
}
