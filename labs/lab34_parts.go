package labs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// configPart is a part of config.json, and where the kernel shows what became
// of it. Both are written in the same words, so that they can be compared.
type configPart struct {
	key      string // as a path for jq(1)
	inFile   func(*specs.Spec) string
	from     string // with %d for the pid
	inKernel func(context.Context, int, *specs.Spec) (string, error)
}

var configParts = []configPart{
	{".process.args", func(s *specs.Spec) string { return strings.Join(s.Process.Args, " ") },
		"/proc/%d/cmdline", func(_ context.Context, pid int, _ *specs.Spec) (string, error) { return commandLine(pid), nil }},
	{".process.user", func(s *specs.Spec) string {
		return fmt.Sprintf("uid %d gid %d", s.Process.User.UID, s.Process.User.GID)
	},
		"Uid, Gid in /proc/%d/status", kernelUser},
	{".process.capabilities", func(s *specs.Spec) string {
		return strings.Join(slices.Sorted(slices.Values(s.Process.Capabilities.Bounding)), " ")
	},
		"CapBnd in /proc/%d/status", kernelCapabilities},
	{".process.rlimits", func(s *specs.Spec) string { return fmt.Sprintf("open files %d", s.Process.Rlimits[0].Soft) },
		"Max open files in /proc/%d/limits", kernelOpenFiles},
	{".root.path", func(s *specs.Spec) string { return s.Root.Path },
		"first line of /proc/%d/mountinfo", kernelRootPath},
	{".root.readonly", func(s *specs.Spec) string { return fmt.Sprint(s.Root.Readonly) },
		"line of / in /proc/%d/mountinfo", kernelRootReadonly},
	{".hostname", func(s *specs.Spec) string { return s.Hostname },
		"uname(2) in the uts namespace of %d", kernelHostname},
	{".mounts", func(s *specs.Spec) string { return strings.Join(destinations(s), " ") },
		"mount points in /proc/%d/mountinfo", kernelMounts},
	{".linux.namespaces", configNamespaces,
		"/proc/%d/ns, unlike the lab host's", kernelNamespaces},
	{".linux.cgroupsPath", func(s *specs.Spec) string { return s.Linux.CgroupsPath },
		"/proc/%d/cgroup", kernelGroup},
}

// readParts puts what the file says beside what the kernel has.
func readParts(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	s, err := plain.read(b)
	if err != nil {
		return nil, err
	}
	pid, missing := b.Pid(plain.name)
	var facts []evidence.Fact
	for _, p := range configParts {
		now := evidence.Absent
		if missing == nil {
			if now, err = p.inKernel(ctx, pid, s); err != nil {
				return facts, err
			}
		}
		facts = append(facts, evidence.F(p.key, strings.Replace(p.from, "%d", pidOr(pid), 1), p.inFile(s), now))
	}
	return facts, nil
}

// commandLine is what a process was told to run (proc_pid_cmdline(5)).
func commandLine(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.Join(strings.Split(strings.TrimRight(string(text), "\x00"), "\x00"), " ")
}

// kernelUser reads the ids as they are in the process's own user namespace.
func kernelUser(_ context.Context, pid int, _ *specs.Spec) (string, error) {
	status, err := nsdemo.ReadStatus("/proc", pid)
	return fmt.Sprintf("uid %d gid %d", status.UID[1], status.GID[1]), err
}

// kernelCapabilities reads the bounding set: no program that the process runs
// can ever have others.
func kernelCapabilities(_ context.Context, pid int, _ *specs.Spec) (string, error) {
	status, err := nsdemo.ReadStatus("/proc", pid)
	return strings.Join(slices.Sorted(slices.Values(nsdemo.CapabilityNames(status.CapBnd))), " "), err
}

func kernelOpenFiles(_ context.Context, pid int, _ *specs.Spec) (string, error) {
	soft, _, err := resourceLimit(pid, "Max open files")
	return "open files " + soft, err
}

// resourceLimit is a line of /proc/PID/limits (proc_pid_limits(5)).
func resourceLimit(pid int, name string) (soft, hard string, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			words := strings.Fields(rest)
			return words[0], words[1], nil
		}
	}
	return "", "", fmt.Errorf("/proc/%d/limits has no line %q", pid, name)
}

func kernelRootPath(_ context.Context, pid int, _ *specs.Spec) (string, error) {
	m, err := mountOf(pid, "/")
	if err != nil {
		return "", err
	}
	return filepath.Base(m.Root) + " of a " + m.FSType, nil
}

func kernelRootReadonly(_ context.Context, pid int, _ *specs.Spec) (string, error) {
	m, err := mountOf(pid, "/")
	if err != nil {
		return "", err
	}
	return fmt.Sprint(slices.Contains(strings.Split(m.Options, ","), "ro")), nil
}

// mountOf is what a process has mounted at a path of its own.
func mountOf(pid int, path string) (*nsdemo.Mount, error) {
	mounts, err := nsdemo.Mounts("/proc", pid)
	if err != nil {
		return nil, err
	}
	m := nsdemo.MountAt(mounts, path)
	if m == nil {
		return nil, fmt.Errorf("process %d has nothing mounted at %s", pid, path)
	}
	return m, nil
}

// kernelHostname asks in the process's namespace, through one that joins it.
func kernelHostname(ctx context.Context, pid int, _ *specs.Spec) (string, error) {
	var kinds []nsdemo.Kind
	if own, err := nsdemo.ID("/proc", os.Getpid(), nsdemo.User); err == nil {
		if theirs, err := nsdemo.ID("/proc", pid, nsdemo.User); err == nil && own != theirs {
			kinds = append(kinds, nsdemo.User) // it owns the other one
		}
	}
	p, err := nsdemo.Join(ctx, pid, append(kinds, nsdemo.UTS)...)
	if err != nil {
		return "", err
	}
	defer p.Close()
	return p.Hostname(ctx)
}

func destinations(s *specs.Spec) []string {
	var all []string
	for _, m := range s.Mounts {
		all = append(all, m.Destination)
	}
	return all
}

// kernelMounts lists those of the file's mount points where something is mounted.
func kernelMounts(_ context.Context, pid int, s *specs.Spec) (string, error) {
	mounts, err := nsdemo.Mounts("/proc", pid)
	if err != nil {
		return "", err
	}
	var found []string
	for _, d := range destinations(s) {
		if nsdemo.MountAt(mounts, d) != nil {
			found = append(found, d)
		}
	}
	return strings.Join(found, " "), nil
}

// configNamespaces lists them in the kernel's words, sorted.
func configNamespaces(s *specs.Spec) string {
	words := map[specs.LinuxNamespaceType]string{specs.NetworkNamespace: "net", specs.MountNamespace: "mnt"}
	var all []string
	for _, n := range s.Linux.Namespaces {
		word := words[n.Type]
		if word == "" {
			word = string(n.Type)
		}
		all = append(all, word)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func kernelNamespaces(_ context.Context, pid int, _ *specs.Spec) (string, error) {
	theirs, err := nsdemo.IDs("/proc", pid)
	if err != nil {
		return "", err
	}
	ours, err := nsdemo.IDs("/proc", os.Getpid())
	if err != nil {
		return "", err
	}
	var all []string
	for _, k := range nsdemo.Differing(ours, theirs) {
		all = append(all, string(k))
	}
	slices.Sort(all)
	return strings.Join(all, " "), nil
}

// kernelGroup is the last part of the group's path: the rest is where the
// runtime itself is.
func kernelGroup(_ context.Context, pid int, _ *specs.Spec) (string, error) {
	paths, err := nsdemo.CgroupPaths("/proc", pid)
	if err != nil {
		return "", err
	}
	for _, p := range paths {
		if strings.HasPrefix(filepath.Base(p.Path), "cutaway-") {
			return filepath.Base(p.Path), nil
		}
	}
	return "not in a group of its own", nil
}
