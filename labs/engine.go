package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cutaway/cgroupdemo"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
	"cutaway/minicontainer"
	"cutaway/minicontainer/builtin"
	"cutaway/nsdemo"
)

// The labs with whole containers share what stands here: the engine in the
// scratch folder, containers that are known on the bench by their names, and
// how all of it is found again should everybody die.

// openEngine opens the engine in the scratch folder. `cutaway run` and its like,
// in the lab's shells, open the same one: the walk tells them where it is.
func openEngine(b *bench.Bench) (*minicontainer.Engine, error) {
	return minicontainer.Open(minicontainer.Settings{
		Root: b.Path("root"), RunDir: b.Path("run/engine"), CgroupParent: "cutaway-" + b.RunID(),
	})
}

// withEngine opens the engine for one act or view.
func withEngine(b *bench.Bench, do func(*minicontainer.Engine) error) error {
	e, err := openEngine(b)
	if err != nil {
		return ordinaryUser(b, err)
	}
	return ordinaryUser(b, errors.Join(do(e), e.Close()))
}

// ordinaryUser tells what an ordinary user may not do from what went wrong: an image's
// files belong to several users, and in a user namespace of one there is one.
func ordinaryUser(b *bench.Bench, err error) error {
	if err == nil || b.Where != "userns" {
		return err
	}
	return &evidence.CannotTest{Reason: "an ordinary user cannot make such a container here: " + err.Error(), WayOut: "run it as root"}
}

// typed are shell lines that are the same wherever the lab runs.
func typed(all ...string) func(*bench.Bench) []string {
	return func(*bench.Bench) []string { return all }
}

// intendEngine lists what containers make on the real machine: the group of all
// their groups, and processes that nobody here is the parent of. The processes
// hold the groups, so they are undone first, that is listed last.
func intendEngine(b *bench.Bench) ([]journal.Undo, error) {
	if b.Where == "userns" {
		return nil, &evidence.CannotTest{Reason: "a whole container takes rights that an ordinary user has not got: control groups, a bridge, ids", WayOut: "run it as root"}
	}
	hs, err := cgroupdemo.Read("/proc")
	if err != nil {
		return nil, err
	}
	inner := cgroupdemo.Config{Prefix: "/", Name: "cutaway-" + b.RunID() + "/container"}
	g, err := cgroupdemo.Open(hs, inner)
	if err != nil {
		return nil, asUntestable(err)
	}
	steps, err := g.CreateSteps(hs)
	if err != nil {
		return nil, asUntestable(err)
	}
	steps = slices.DeleteFunc(steps, func(s cgroupdemo.Step) bool { return filepath.Base(s.Path) == "container" })
	return append(undoSteps(steps), journal.Undo{Kind: journal.SweepMarked, Name: b.RunID()}), nil
}

// run is `cutaway run --detach`: it makes a container and starts it.
func run(b *bench.Bench, o minicontainer.Options) error {
	return withEngine(b, func(e *minicontainer.Engine) error {
		if _, err := builtin.Resolve(e.Images, o.Image); err != nil {
			return err
		}
		_, session, err := e.Run(o, &minicontainer.Streams{})
		if err != nil {
			return err
		}
		return errors.Join(session.Close(), notePid(b, e, o.Name))
	})
}

// notePid writes the process of a container where b.Pid and shell lines find it.
func notePid(b *bench.Bench, e *minicontainer.Engine, name string) error {
	c, err := e.Inspect(name)
	if err != nil {
		return err
	}
	return os.WriteFile(b.Path(name+".pid"), []byte(strconv.Itoa(c.State.Pid)+"\n"), 0o644)
}

// runLines are run by hand. What stands behind the name are options, the image
// and the command.
func runLines(name, rest string) []string {
	return []string{
		"cutaway run --detach --name " + name + " " + rest,
		"cutaway inspect --format '{{.State.Pid}}' " + name + " > " + name + ".pid",
	}
}

// container is the record of a container, or nil when there is none of the name.
func container(b *bench.Bench, name string) (c *minicontainer.Container, err error) {
	if _, err := os.Stat(b.Path("root/containers")); err != nil {
		return nil, nil // no engine yet: opening it would make one
	}
	err = withEngine(b, func(e *minicontainer.Engine) error {
		c, err = e.Inspect(name)
		return err
	})
	var none *minicontainer.NotFound
	if errors.As(err, &none) {
		return nil, nil
	}
	return c, err
}

// statusOf is the word of `cutaway ps` for a container.
func statusOf(b *bench.Bench, name string) (string, error) {
	c, err := container(b, name)
	if c == nil {
		return evidence.Absent, err
	}
	return c.State.Status(), err
}

// members are the processes in the container's pid namespace, by the numbers
// that they have in it.
func members(pid int) (map[int]nsdemo.Status, error) {
	id, err := nsdemo.ID("/proc", pid, nsdemo.PID)
	if err != nil {
		return nil, err
	}
	pids, err := nsdemo.Members("/proc", nsdemo.PID, id)
	if err != nil {
		return nil, err
	}
	all := map[int]nsdemo.Status{}
	for _, p := range pids {
		if s, err := nsdemo.ReadStatus("/proc", p); err == nil { // else it has ended meanwhile
			all[s.InnerPid()] = s
		}
	}
	return all, nil
}

// listMembers is a process list in one line: "1 sleep, 7 sleep (zombie)".
func listMembers(all map[int]nsdemo.Status) string {
	var pids []int
	for pid := range all {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	var words []string
	for _, pid := range pids {
		word := fmt.Sprintf("%d %s", pid, all[pid].Name)
		if strings.HasPrefix(all[pid].State, "Z") {
			word += " (zombie)"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func zombies(all map[int]nsdemo.Status) (n int) {
	for _, s := range all {
		if strings.HasPrefix(s.State, "Z") {
			n++
		}
	}
	return n
}

// waitForContainer waits until the container has ended and gives its exit code.
func waitForContainer(ctx context.Context, b *bench.Bench, name string) (code int, err error) {
	err = withEngine(b, func(e *minicontainer.Engine) error {
		code, err = e.Wait(ctx, name)
		return err
	})
	return code, err
}
