package cgroupdemo

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNoController says that no mounted hierarchy has the controller.
var ErrNoController = errors.New("no mounted cgroup hierarchy has this controller")

// Config says which group is meant.
type Config struct {
	// Prefix is the folder for all groups of one owner, such as "cutaway":
	// below the caller's own group in each hierarchy, or, with a slash in
	// front, below the top of each hierarchy. It is removed with its last group.
	Prefix string
	// Name of the group below the prefix: "web", or "parent/child" to nest.
	Name string
	// Controllers that the group needs. Empty: of the usual ones (CPU, memory,
	// IO, pids, devices, freezer) all that can be had here.
	Controllers []Controller
	// Use takes a controller from another version than [Hierarchies.Find]
	// would: for what both can do (freezer, devices, cpuacct on a hybrid).
	Use map[Controller]Version
}

// Place is the group's directory for one controller.
type Place struct {
	Controller Controller
	Version    Version
	Base       string // existing group below which cutaway works
	Dir        string
}

func (c Config) validate() error {
	for _, part := range strings.Split(c.Name, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\n\x00") {
			return fmt.Errorf("group name %q: want folder names joined by slashes; . and .. are none", c.Name)
		}
	}
	if slices.Contains(strings.Split(c.Prefix, "/"), "..") {
		return fmt.Errorf("group prefix %q: must not lead upwards (..)", c.Prefix)
	}
	return nil
}

// Places says where the group's directories are, or would be. A controller that
// was asked for by name and is nowhere gives [ErrNoController].
func (hs *Hierarchies) Places(cfg Config) ([]Place, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	wanted, all := cfg.Controllers, len(cfg.Controllers) == 0
	if all {
		wanted = usual()
	}
	var places []Place
	for _, c := range wanted {
		place, err := hs.place(cfg, c)
		switch {
		case err == nil:
			places = append(places, place)
		case all && (errors.Is(err, ErrNoController) || errors.Is(err, ErrNotVisible)):
			// "All that can be had" leaves out what cannot.
		default:
			return nil, err
		}
	}
	if len(places) == 0 {
		return nil, fmt.Errorf("group %s: %w: is any cgroup filesystem mounted?", cfg.Name, ErrNoController)
	}
	return withCore(hs, cfg, places)
}

// withCore adds the v2 directory on a hybrid even if no v2 controller was asked
// for: cgroup.kill and CLONE_INTO_CGROUP are worth a mkdir.
func withCore(hs *Hierarchies, cfg Config, places []Place) ([]Place, error) {
	if slices.ContainsFunc(places, func(p Place) bool { return p.Controller == Core }) {
		return places, nil
	}
	core, err := hs.place(cfg, Core)
	if err != nil {
		return places, nil // no v2 here: nothing that the caller asked for is missing
	}
	return append([]Place{core}, places...), nil
}

func (hs *Hierarchies) place(cfg Config, c Controller) (Place, error) {
	h, ok := hs.Find(c)
	if v := cfg.Use[c]; v != 0 {
		h, ok = hs.In(c, v)
	}
	if !ok {
		return Place{}, fmt.Errorf("controller %s: %w", c, ErrNoController)
	}
	base, err := hs.base(cfg, h)
	if err != nil {
		return Place{}, err
	}
	return Place{c, h.Version, base, filepath.Join(base, cfg.Prefix, cfg.Name)}, nil
}

// base is the existing group below which the prefix goes.
func (hs *Hierarchies) base(cfg Config, h Hierarchy) (string, error) {
	if strings.HasPrefix(cfg.Prefix, "/") {
		return h.MountPoint, nil
	}
	own, err := hs.ownDir(h)
	if err != nil || h.Version == V1 {
		return own, err
	}
	return roomyV2(h.MountPoint, own, cfg.v2Names(hs)), nil
}

// v2Names are the controllers that cgroup.subtree_control would have to name.
func (c Config) v2Names(hs *Hierarchies) []string {
	wanted := c.Controllers
	if len(wanted) == 0 {
		wanted = usual()
	}
	var list []string
	for _, controller := range wanted {
		name := controller.NameIn(V2)
		if name != "" && hs.VersionOf(controller) == V2 {
			list = append(list, name)
		}
	}
	return list
}
