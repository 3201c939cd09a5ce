package labs

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"cutaway/cgroupdemo"
	"cutaway/internal/inside"
	"cutaway/labs/bench"
)

// start starts a process of ours in the group and keeps it under a name.
func (l labGroup) start(ctx context.Context, b *bench.Bench, name string) (*inside.Helper, error) {
	h, err := l.enter(ctx, b)
	if err != nil {
		return nil, err
	}
	return h, b.Keep(name, h)
}

// enter starts a process of ours and moves it into the group: for a moment it
// is outside, as every process is that version 1 takes in.
func (l labGroup) enter(ctx context.Context, b *bench.Bench) (*inside.Helper, error) {
	g, _, err := l.open(b)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(g.Places[0].Dir); err != nil {
		return nil, err // the group is not made yet: no need to start anything
	}
	h, err := inside.Start(ctx, inside.Config{})
	if err != nil {
		return nil, err
	}
	if err := g.Attach(h.Pid()); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// long is how long loads may last, should a learner read that long.
const long = time.Hour

// work sets a process to work and does not wait for it. It works until the
// bench is cleared.
func work(h *inside.Helper, request string, args any) {
	go h.Call(context.Background(), request, args, nil) // the answer is of no use: views read the kernel's books
}

// moveLine moves the process of NAME.pid into the group by hand.
func (l labGroup) moveLine(b *bench.Bench, name string) string {
	return l.eachDir(b, "echo $(cat "+name+".pid) > ")
}

// eachDir writes something to cgroup.procs in each of the group's folders:
// version 1 has one for each hierarchy, and each is a move of its own.
func (l labGroup) eachDir(b *bench.Bench, echo string) string {
	dirs := l.dirs(b)
	if !strings.Contains(dirs, " ") {
		return echo + dirs + "/cgroup.procs"
	}
	return "for g in " + dirs + "; do " + echo + "$g/cgroup.procs; done"
}

// inGroup is a shell program that first moves itself into the group, so that
// whatever it does is done there.
func (l labGroup) inGroup(b *bench.Bench, program string) string {
	return "sh -c '" + l.eachDir(b, "echo $$ > ") + "; " + program + "'"
}

// waitFor looks again and again until something is so.
func waitFor(ctx context.Context, what string, so func() bool) error {
	for range 2000 {
		if so() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return fmt.Errorf("waited 10 s until %s", what)
}

// membership is the group of a process in the hierarchy of a controller, as
// /proc/PID/cgroup has it.
func membership(hs *cgroupdemo.Hierarchies, pid int, c cgroupdemo.Controller) (string, error) {
	h, ok := hs.Find(c)
	if !ok {
		return "", cgroupdemo.ErrNoController
	}
	lines, err := hs.MembershipOf(pid)
	if err != nil {
		return "", err
	}
	for _, m := range lines {
		if m.ID == h.ID && (h.Version == cgroupdemo.V1 || m.ID == 0) {
			return m.Path, nil
		}
	}
	return "", fmt.Errorf("process %d has no group in the hierarchy %s", pid, h.Label())
}

// statusField is a line of /proc/PID/status, without its name.
func statusField(pid int, field string) (string, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("%s has no line %s", path, field)
}
