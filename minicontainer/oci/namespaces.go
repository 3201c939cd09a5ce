package oci

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cutaway/minicontainer/oci/spawn"
)

// kind is a namespace type: its clone flag, its file in /proc/PID/ns, and its
// place in the order of joining.
type kind struct {
	flag  uintptr
	file  string
	order int
}

// The user namespace is joined first, as it gives the rights for the others;
// the mount namespace last, as the files of the others are found in the old one.
var kinds = sync.OnceValue(func() map[specs.LinuxNamespaceType]kind {
	return map[specs.LinuxNamespaceType]kind{
		specs.UserNamespace:    {unix.CLONE_NEWUSER, "user", 0},
		specs.IPCNamespace:     {unix.CLONE_NEWIPC, "ipc", 1},
		specs.UTSNamespace:     {unix.CLONE_NEWUTS, "uts", 2},
		specs.NetworkNamespace: {unix.CLONE_NEWNET, "net", 3},
		specs.PIDNamespace:     {unix.CLONE_NEWPID, "pid", 4},
		specs.CgroupNamespace:  {unix.CLONE_NEWCGROUP, "cgroup", 5},
		specs.TimeNamespace:    {unix.CLONE_NEWTIME, "time", 6},
		specs.MountNamespace:   {unix.CLONE_NEWNS, "mnt", 7},
	}
})

// hasNamespace says whether the container gets that kind, new or joined.
func hasNamespace(spec *specs.Spec, t specs.LinuxNamespaceType) bool {
	for _, ns := range spec.Linux.Namespaces {
		if ns.Type == t {
			return true
		}
	}
	return false
}

// newNamespace says whether the container gets one of its own.
func newNamespace(spec *specs.Spec, t specs.LinuxNamespaceType) bool {
	for _, ns := range spec.Linux.Namespaces {
		if ns.Type == t {
			return ns.Path == ""
		}
	}
	return false
}

// cloneFlags joins the flags of all namespaces to be made. The cgroup namespace
// is left to the stage itself: its root is the group that its maker is in, so the
// maker must have been moved first.
func cloneFlags(spec *specs.Spec) uintptr {
	var flags uintptr
	for _, ns := range spec.Linux.Namespaces {
		if ns.Path == "" && ns.Type != specs.CgroupNamespace {
			flags |= kinds()[ns.Type].flag
		}
	}
	return flags
}

// ownFlags joins the flags of all kinds that the container does not share with
// the runtime, new or joined.
func ownFlags(spec *specs.Spec) uintptr {
	var flags uintptr
	for _, ns := range spec.Linux.Namespaces {
		flags |= kinds()[ns.Type].flag
	}
	return flags
}

// openJoins opens the namespaces that are given by path, in joining order.
func openJoins(spec *specs.Spec) ([]spawn.Namespace, error) {
	var joined []specs.LinuxNamespace
	for _, ns := range spec.Linux.Namespaces {
		if ns.Path != "" {
			joined = append(joined, ns)
		}
	}
	sort.Slice(joined, func(i, j int) bool { return kinds()[joined[i].Type].order < kinds()[joined[j].Type].order })
	var out []spawn.Namespace
	for _, ns := range joined {
		f, err := os.Open(ns.Path)
		if err != nil {
			closeJoins(out)
			return nil, fmt.Errorf("lstat %s namespace: %w", ns.Type, err)
		}
		out = append(out, spawn.Namespace{File: f, Kinds: kinds()[ns.Type].flag})
	}
	return out, nil
}

func closeJoins(list []spawn.Namespace) {
	for _, n := range list {
		n.File.Close()
	}
}

// timeOffsets gives the lines of /proc/PID/timens_offsets (time_namespaces(7)).
func timeOffsets(spec *specs.Spec) string {
	var b strings.Builder
	for clock, o := range spec.Linux.TimeOffsets {
		fmt.Fprintf(&b, "%s %d %d\n", clock, o.Secs, o.Nanosecs)
	}
	return b.String()
}
