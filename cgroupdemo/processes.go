package cgroupdemo

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Processes reads cgroup.procs of the group and of all groups below it, in
// every hierarchy, each pid once, sorted. A group that is gone has none.
func (g *Group) Processes() ([]int, error) {
	var all []int
	for _, dir := range g.dirs() {
		for _, d := range tree(dir) {
			pids, err := pidsIn(d)
			if err != nil {
				return nil, fmt.Errorf("processes of group %s: %w", g.Config.Name, err)
			}
			all = append(all, pids...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// tree lists dir and the groups below it, children before their parents.
func tree(dir string) []string {
	// A folder has two links and one more for each folder in it (inode(7)). Most
	// groups have none, and reading their some thirty files for that takes long.
	var st unix.Stat_t
	if unix.Lstat(dir, &st) == nil && st.Nlink == 2 {
		return []string{dir}
	}
	var list []string
	// A group may vanish while we walk; then there is nothing to list below it.
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			list = append(list, path)
		}
		return nil
	})
	slices.Reverse(list)
	return list
}

// pidsIn reads one cgroup.procs. A 0 stands for a process of a pid namespace
// that cannot be seen from here; it is left out, since 0 would mean ourselves.
func pidsIn(dir string) ([]int, error) {
	r := ReadText(dir, "cgroup.procs")
	if r.Err != nil {
		if isGone(r.Err) {
			return nil, nil
		}
		return nil, r.Err
	}
	var pids []int
	for _, word := range strings.Fields(r.Value) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is no process id", r.Path, word)
		}
		if pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// isGone: a removed group's files answer ENOENT when opened and ENODEV when read.
func isGone(err error) bool {
	return isAbsent(err) || errors.Is(err, unix.ENODEV)
}
