package labs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"cutaway/cgroupdemo"
	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
	"cutaway/nsdemo"
)

// pageLine is a line of the page: a mechanism, the lab that taught it, and how
// it is read for the container and for the lab host.
type pageLine struct {
	name, lab, from string // %d is the pid, %s the container's id
	read            func(context.Context, *bench.Bench, *subject) (in, out string, err error)
}

// subject is the container as the page knows it: its process, and its group.
type subject struct {
	pid   int
	id    string
	group *cgroupdemo.Group
}

var (
	sixKinds = []nsdemo.Kind{"mnt", "pid", "uts", "ipc", "net", "cgroup"}
	twoKinds = []nsdemo.Kind{"user", "time"}
)

// pageLines are in the order of the labs.
var pageLines = []pageLine{
	namespaceLine("mnt", "01"), namespaceLine("pid", "02"), namespaceLine("uts", "03"), namespaceLine("ipc", "04"),
	namespaceLine("user", "05"), namespaceLine("net", "06"), namespaceLine("cgroup", "07"), namespaceLine("time", "08"),
	{"root file system", "01, 16", "/ in /proc/%d/mountinfo", func(_ context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		return fsTypes(s.pid)
	}},
	{"pid", "02", "NSpid in /proc/%d/status", func(_ context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		st, err := nsdemo.ReadStatus("/proc", s.pid)
		return fmt.Sprint(st.InnerPid()), fmt.Sprint(s.pid), err
	}},
	{"hostname", "03", "uname(2) in the uts namespace of %d", func(ctx context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		out, err := nsdemo.Hostname()
		if err != nil {
			return "", "", err
		}
		in, err := kernelHostname(ctx, s.pid, nil)
		return in, out, err
	}},
	{"network devices", "06, 25", "RTM_GETLINK in the net namespace of %d", func(_ context.Context, b *bench.Bench, _ *subject) (in, out string, err error) {
		err = inNets(b, func(n nets) (err error) {
			if in, err = linkWords(n[whole]); err != nil {
				return err
			}
			out, err = linkWords(n[theHost])
			return err
		}, whole, theHost)
		return in, out, err
	}},
	{"control group", "10", "/proc/%d/cgroup", func(_ context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		in, err := groupOf(s.pid)
		if err != nil {
			return "", "", err
		}
		out, err := groupOf(os.Getpid())
		return minicontainer.ShortID(in) + "...", out, err
	}},
	{"CPU limit", "11", "cpu.cfs_quota_us or cpu.max of its group", groupLine(cpuLimit)},
	{"memory limit", "12", "memory.limit_in_bytes or memory.max of its group", groupLine(func(g *cgroupdemo.Group) (string, error) {
		r := g.Memory().Limit
		return fmt.Sprintf("%d MiB", r.Value>>20), r.Err
	})},
	{"processor time used", "13", "cpuacct.usage or cpu.stat of its group", groupLine(func(g *cgroupdemo.Group) (string, error) {
		r := g.CPU().Total
		return r.Value.Round(1e6).String(), r.Err
	})},
	{"process limit", "14", "pids.max of its group", groupLine(func(g *cgroupdemo.Group) (string, error) {
		r := g.PIDs().Max
		return fmt.Sprint(r.Value), r.Err
	})},
	{"image layers below its own", "16", "lowerdir in /proc/%d/mountinfo", func(_ context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		m, err := mountOf(s.pid, "/")
		if err != nil {
			return "", "", err
		}
		lower := regexp.MustCompile(`lowerdir=([^,]*)`).FindStringSubmatch(m.VFSOptions)
		if lower == nil {
			return "none", "none", nil
		}
		return fmt.Sprint(strings.Count(lower[1], ":") + 1), "none", nil
	}},
	{"published port", "26", "wget http://127.0.0.1:8080/", func(context.Context, *bench.Bench, *subject) (string, string, error) {
		return "80", "8080: " + pageFact(8080).Values[0], nil
	}},
	{"/etc/hosts", "27", "/proc/%d/root/etc/hosts", func(_ context.Context, b *bench.Bench, s *subject) (string, string, error) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/etc/hosts", s.pid))
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		return oneLine(lines[len(lines)-1]), "its own file", err
	}},
	{"mounted on /site", "29", "/proc/%d/mountinfo", liesOn("/site", "folder ")},
	{"mounted on /data", "30", "/proc/%d/mountinfo", liesOn("/data", "volume ")},
	{"process 1", "33", "/proc/%d/cmdline", func(_ context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		host, _, _ := strings.Cut(commandLine(1), " ")
		return commandLine(s.pid), host, nil
	}},
	{"known to the runtime as", "34", "cutaway oci --root run/engine/oci state %s", func(_ context.Context, b *bench.Bench, s *subject) (status, _ string, err error) {
		err = withEngine(b, func(e *minicontainer.Engine) error {
			c, err := e.Runtime.Open(s.id)
			if err == nil {
				status = string(c.Status())
			}
			return err
		})
		return status, "nothing", err
	}},
	{"parent", "35", "PPid in /proc/%d/status", func(_ context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		st, err := nsdemo.ReadStatus("/proc", s.pid)
		if err != nil {
			return "", "", err
		}
		first, _, _ := strings.Cut(commandLine(st.PPid), " ")
		return first, "the front of this lab", nil
	}},
	{"capabilities", "36", "CapBnd in /proc/%d/status", func(_ context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		return bothStatus(s.pid, func(st, own nsdemo.Status) string { return describeSet(st.CapBnd, own.CapBnd) })
	}},
	{"no new privileges", "36", "NoNewPrivs in /proc/%d/status", func(_ context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		return bothStatus(s.pid, func(st, _ nsdemo.Status) string { return fmt.Sprint(st.NoNewPrivs) })
	}},
	{"seccomp mode", "36", "Seccomp in /proc/%d/status", func(_ context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		return bothStatus(s.pid, func(st, _ nsdemo.Status) string { return fmt.Sprint(st.Seccomp) })
	}},
	{"/proc/sys", "36", "/proc/%d/mountinfo", func(_ context.Context, b *bench.Bench, s *subject) (string, string, error) {
		row := mountRow("/proc/sys")
		in, err := row.read(b, bundle{}, s.pid)
		if err != nil {
			return "", "", err
		}
		out, err := row.read(b, bundle{}, os.Getpid())
		return in, out, err
	}},
	{"open files", "36", "Max open files in /proc/%d/limits", func(_ context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		in, _, err := resourceLimit(s.pid, "Max open files")
		if err != nil {
			return "", "", err
		}
		out, _, err := resourceLimit(os.Getpid(), "Max open files")
		return in, out, err
	}},
}

// readPage reads all lines, by the container's process.
func readPage(ctx context.Context, b *bench.Bench) ([]evidence.Fact, error) {
	hostname(b)
	pid, err := b.Pid(whole)
	if err != nil {
		return nil, err
	}
	s := &subject{pid: pid}
	if s.id, err = groupOf(pid); err != nil {
		return nil, err
	}
	if s.group, err = groupOfContainer(b, s.id); err != nil {
		return nil, err
	}
	var facts []evidence.Fact
	for _, l := range pageLines {
		in, out, err := l.read(ctx, b, s)
		if err != nil {
			return facts, fmt.Errorf("%s: %w", l.name, err)
		}
		from := strings.NewReplacer("%d", fmt.Sprint(pid), "%s", s.id).Replace(l.from)
		facts = append(facts, evidence.F(l.name, from, in, out, l.lab))
	}
	return facts, nil
}

func namespaceLine(k nsdemo.Kind, lab string) pageLine {
	return pageLine{string(k), lab, "/proc/%d/ns/" + string(k), func(_ context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		in, err := nsdemo.ID("/proc", s.pid, k)
		if err != nil {
			return "", "", err
		}
		out, err := nsdemo.ID("/proc", os.Getpid(), k)
		return fmt.Sprint(in), fmt.Sprint(out), err
	}}
}

// groupLine reads a file of the container's group.
func groupLine(read func(*cgroupdemo.Group) (string, error)) func(context.Context, *bench.Bench, *subject) (string, string, error) {
	return func(_ context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		in, err := read(s.group)
		return in, "no limit of this lab's", err
	}
}

// groupOfContainer opens the group that the engine made for a container.
func groupOfContainer(b *bench.Bench, id string) (*cgroupdemo.Group, error) {
	hs, err := cgroupdemo.Read("/proc")
	if err != nil {
		return nil, err
	}
	return cgroupdemo.Open(hs, cgroupdemo.Config{Prefix: "/", Name: "cutaway-" + b.RunID() + "/" + id})
}

// groupOf is the last part of a process's group, where the hierarchies agree.
func groupOf(pid int) (string, error) {
	paths, err := nsdemo.CgroupPaths("/proc", pid)
	if err != nil {
		return "", err
	}
	for _, p := range paths {
		if base := filepath.Base(p.Path); len(base) == 64 {
			return base, nil
		}
	}
	return paths[0].Path, nil
}

// cpuLimit is the quota as a share of the period.
func cpuLimit(g *cgroupdemo.Group) (string, error) {
	p, err := g.Place(cgroupdemo.CPU)
	if err != nil {
		return "", err
	}
	var quota, period float64
	if p.Version == cgroupdemo.V2 {
		_, err = fmt.Sscan(cgroupdemo.ReadText(p.Dir, "cpu.max").Value, &quota, &period)
	} else if _, err = fmt.Sscan(cgroupdemo.ReadText(p.Dir, "cpu.cfs_quota_us").Value, &quota); err == nil {
		_, err = fmt.Sscan(cgroupdemo.ReadText(p.Dir, "cpu.cfs_period_us").Value, &period)
	}
	return fmt.Sprintf("%g CPU", quota/period), err
}

func fsTypes(pid int) (in, out string, err error) {
	m, err := mountOf(pid, "/")
	if err != nil {
		return "", "", err
	}
	host, err := mountOf(os.Getpid(), "/")
	if err != nil {
		return "", "", err
	}
	return m.FSType, host.FSType, nil
}

// liesOn tells what lies on a path of the container.
func liesOn(path, word string) func(context.Context, *bench.Bench, *subject) (string, string, error) {
	return func(_ context.Context, _ *bench.Bench, s *subject) (string, string, error) {
		m, err := mountOf(s.pid, path)
		if err != nil {
			return "", "", err
		}
		root := strings.TrimSuffix(m.Root, "/_data")
		return word + filepath.Base(root), m.Root, nil
	}
}

func bothStatus(pid int, read func(st, own nsdemo.Status) string) (in, out string, err error) {
	st, err := nsdemo.ReadStatus("/proc", pid)
	if err != nil {
		return "", "", err
	}
	own, err := nsdemo.ReadStatus("/proc", os.Getpid())
	return read(st, own), read(own, own), err
}

// pageText is what a reader sees of a page: without tags, in one line.
func pageText(html string) string {
	return oneLine(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(html, " "))
}
