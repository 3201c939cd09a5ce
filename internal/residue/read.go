package residue

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"

	"cutaway/internal/journal"
	"cutaway/internal/netdump"
)

// mounts lists mount points with type and source. Mount ids are left out: they
// change with every remount, the tree does not.
func mounts() []string {
	text, _ := os.ReadFile("/proc/self/mountinfo")
	var all []string
	for line := range strings.Lines(string(text)) {
		left, right, ok := strings.Cut(strings.TrimSpace(line), " - ")
		fields := strings.Fields(left)
		if !ok || len(fields) < 6 {
			continue
		}
		all = append(all, fmt.Sprintf("%s (root %s, %s) %s", fields[4], fields[3], strings.Join(fields[5:], " "), right))
	}
	return all
}

func links() []string {
	list, err := netdump.Whole(netlink.LinkList)
	if err != nil {
		return nil
	}
	var all []string
	for _, l := range list {
		all = append(all, fmt.Sprintf("%s (%s)", l.Attrs().Name, l.Type()))
	}
	return all
}

// cgroups lists the folders below every cgroup mount of this mount namespace,
// with the controllers that a group of version 2 hands on.
func cgroups() []string {
	text, _ := os.ReadFile("/proc/self/mounts")
	var all []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || (fields[2] != "cgroup" && fields[2] != "cgroup2") {
			continue
		}
		filepath.WalkDir(fields[1], func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				handsOn, _ := os.ReadFile(path + "/cgroup.subtree_control")
				all = append(all, strings.TrimSpace(path+" "+string(handsOn)))
			}
			return nil
		})
	}
	return all
}

func loops() []string  { return contents("/sys/block/loop*/loop/backing_file") }
func mapped() []string { return contents("/sys/block/dm-*/dm/name") }

// contents reads the files that match: "path: content".
func contents(pattern string) []string {
	paths, _ := filepath.Glob(pattern)
	var all []string
	for _, p := range paths {
		if text, err := os.ReadFile(p); err == nil {
			all = append(all, p+": "+strings.TrimSpace(string(text)))
		}
	}
	return all
}

func processes(marked []journal.MarkedProcess) []string {
	var all []string
	for _, p := range marked {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.Pid))
		all = append(all, fmt.Sprintf("%d %s(run %s)", p.Pid, strings.ReplaceAll(string(cmdline), "\x00", " "), p.Token))
	}
	return all
}

func namespaces(marked []journal.MarkedProcess) []string {
	own, _ := filepath.Glob("/proc/self/ns/*")
	here := map[string]bool{}
	for _, path := range own {
		id, _ := os.Readlink(path)
		here[id] = true
	}
	var all []string
	for _, p := range marked {
		paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/ns/*", p.Pid))
		for _, path := range paths {
			if id, err := os.Readlink(path); err == nil && !here[id] {
				all = append(all, fmt.Sprintf("%s (run %s)", id, p.Token))
			}
		}
	}
	return all
}

// files lists what is in the given folders and where device nodes and named
// network namespaces appear.
func files(folders []string) []string {
	var all []string
	for _, folder := range folders {
		filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				all = append(all, path)
			}
			return nil
		})
	}
	for _, folder := range []string{"/dev", "/dev/mapper", "/run/netns"} {
		entries, _ := os.ReadDir(folder)
		for _, e := range entries {
			// The loop driver makes nodes when it is loaded or asked for a free
			// one, and they stay its own; what is attached is in "loop".
			if !strings.HasPrefix(e.Name(), "loop") {
				all = append(all, filepath.Join(folder, e.Name()))
			}
		}
	}
	return all
}
