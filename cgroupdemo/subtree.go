package cgroupdemo

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// roomyV2 looks for a v2 group that may have children with controllers. The
// caller's own group holds the caller, and a group with processes cannot give
// controllers to children ("no internal processes"); only the top of the tree
// is exempt. So: the own group if it is fit; else the nearest group above which
// already hands the controllers on; else the top, when it may be written to.
// If nothing fits it is the own group, where the kernel's refusal can be explained.
func roomyV2(mount, own string, controllers []string) string {
	if len(controllers) == 0 || handsOn(own, controllers) || !hasProcesses(own) {
		return own
	}
	for dir := own; dir != mount && len(dir) > len(mount); {
		dir = filepath.Dir(dir)
		if Delegation(V2, dir) == nil && (handsOn(dir, controllers) || isTop(dir)) {
			return dir
		}
	}
	return own
}

// handsOn says whether children of dir get those controllers' files.
func handsOn(dir string, controllers []string) bool {
	enabled := strings.Fields(ReadText(dir, "cgroup.subtree_control").Value)
	for _, c := range controllers {
		if !slices.Contains(enabled, c) {
			return false
		}
	}
	return true
}

func hasProcesses(dir string) bool { return ReadText(dir, "cgroup.procs").Value != "" }

// isTop: the real root of the v2 tree is the one group without cgroup.type; the
// root that a container sees has it, and its processes count.
func isTop(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "cgroup.type"))
	return isAbsent(err)
}

// handOn plans the write to dir's cgroup.subtree_control; none if it is done
// already. A controller has to be handed on at every level from the top down,
// since a group can hand on only what it was given. The leaf hands on nothing:
// that keeps it allowed to hold processes.
func handOn(dir string, controllers []string) []Step {
	var missing []string
	for _, c := range controllers {
		if !handsOn(dir, []string{c}) {
			missing = append(missing, "+"+c)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return []Step{{Op: OpWrite, Path: filepath.Join(dir, "cgroup.subtree_control"), Value: strings.Join(missing, " "),
		Why: "children get a controller's files only where the parent hands it on"}}
}

// wayDown lists base and every directory on the way to leaf, without leaf.
func wayDown(base, leaf string) []string {
	rest, err := filepath.Rel(base, leaf)
	if err != nil {
		return nil
	}
	list := []string{base}
	for _, part := range strings.Split(filepath.Dir(rest), string(filepath.Separator)) {
		if part != "." && part != "" {
			list = append(list, filepath.Join(list[len(list)-1], part))
		}
	}
	return list
}
