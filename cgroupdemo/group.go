package cgroupdemo

import (
	"fmt"
	"slices"
)

// Group is one control group: a directory per hierarchy that it needs.
//
// The struct is plain data: stored as JSON and read back by a later process, it
// can still be looked at, killed and deleted.
type Group struct {
	Config Config
	Places []Place
	// Handed lists groups that were there before and that Create made hand on
	// controllers; Delete takes that back.
	Handed []Handed
}

// Handed is one write to cgroup.subtree_control of a group that is not ours.
type Handed struct {
	Dir         string
	Controllers []string
}

// Open names a group without touching it; it may not exist yet or any more.
func Open(hs *Hierarchies, cfg Config) (*Group, error) {
	places, err := hs.Places(cfg)
	if err != nil {
		return nil, err
	}
	return &Group{Config: cfg, Places: places}, nil
}

// dirs are the group's directories, each once, the v2 one first.
func (g *Group) dirs() []string {
	var list []string
	for _, p := range g.Places {
		if !slices.Contains(list, p.Dir) {
			list = append(list, p.Dir)
		}
	}
	return list
}

func (g *Group) serves(dir string, c Controller) bool {
	return slices.ContainsFunc(g.Places, func(p Place) bool { return p.Dir == dir && p.Controller == c })
}

// Place is where the group has that controller, or an error that wraps [ErrNoController].
func (g *Group) Place(c Controller) (Place, error) {
	for _, p := range g.Places {
		if p.Controller == c {
			return p, nil
		}
	}
	return Place{}, fmt.Errorf("group %s has no controller %s: %w", g.Config.Name, c, ErrNoController)
}

// VersionOf is the version that serves the controller in this group; 0: none.
func (g *Group) VersionOf(c Controller) Version {
	p, _ := g.Place(c)
	return p.Version
}
