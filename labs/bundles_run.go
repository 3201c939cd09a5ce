package labs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"cutaway/cgroupdemo"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/labs/bench"
	"cutaway/minicontainer/oci"
	"cutaway/nsdemo"
)

// create has the runtime make the container, up to the start of its program.
func (x bundle) create(b *bench.Bench) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	out, err := os.Create(b.Path(x.name + ".out"))
	if err != nil {
		return err
	}
	defer out.Close()
	c, err := runtimeOf(b).Create(x.name, oci.Options{Bundle: b.Path(x.name), Stdio: [3]*os.File{null, out, out}})
	if err != nil {
		return x.explain(b, err)
	}
	return b.Keep(x.name, adopt(c))
}

// explain tells what an ordinary user's system refuses from what went wrong.
func (x bundle) explain(b *bench.Bench, err error) error {
	if b.Where == "userns" && errors.Is(err, unix.EPERM) {
		return &evidence.CannotTest{Reason: "this system does not let ordinary users make such a container: " + err.Error(), WayOut: "run it as root"}
	}
	return err
}

// createLine is create by hand.
func (x bundle) createLine() string {
	return ociLine + "create --bundle " + x.name + " --pid-file " + x.name + ".pid " + x.name + " > " + x.name + ".out 2>&1 < /dev/null"
}

// start lets the program run, and waits until it does: the runtime only gives
// the word, and the first stage executes the program a moment later.
func (x bundle) start(ctx context.Context, b *bench.Bench) error {
	c, err := runtimeOf(b).Open(x.name)
	if err != nil {
		return err
	}
	before := commandLine(c.Pid)
	if err := c.Start(); err != nil {
		return err
	}
	return waitFor(ctx, "the program runs", func() bool {
		now := commandLine(c.Pid)
		if len(x.args) > 0 {
			return now != before
		}
		// Ready when its trap is set. In the middle of the execve there is no command
		// line, and the signals that are handled are still those of the runtime.
		status, err := nsdemo.ReadStatus("/proc", c.Pid)
		return err != nil || now != "" && now != before && status.Handles(unix.SIGTERM)
	})
}

func (x bundle) startLines() []string {
	return []string{ociLine + "start " + x.name, waitForChildSleep(x.name)}
}

// run is all of it: bundle, create, start.
func (x bundle) run(ctx context.Context, b *bench.Bench) error {
	for _, step := range []func(*bench.Bench) error{x.write, x.create} {
		if err := step(b); err != nil {
			return err
		}
	}
	return x.start(ctx, b)
}

// intend lists what running them makes on the real machine: groups, and
// processes that outlive whoever started them. These hold the groups, so they
// are undone first, that is listed last.
func intendBundles(bundles ...bundle) func(*bench.Bench) ([]journal.Undo, error) {
	return func(b *bench.Bench) ([]journal.Undo, error) {
		var all []journal.Undo
		for _, x := range bundles {
			undos, err := x.group().intend(b)
			if err != nil {
				return nil, err
			}
			all = append(all, undos...)
		}
		return append(all, journal.Undo{Kind: journal.SweepMarked, Name: b.RunID()}), nil
	}
}

// bundled is a container that Go started. It is the worker's child, so the
// worker has to wait for it, which no process of a shell line needs.
type bundled struct {
	*oci.Container
	ended  chan struct{}
	status unix.WaitStatus // once ended is closed
}

// adopt waits for the process from now on (wait4(2)), so that it does not stay
// as a zombie, which looks alive to those who only ask for its number.
func adopt(c *oci.Container) *bundled {
	p := &bundled{Container: c, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		for {
			if _, err := unix.Wait4(c.Pid, &p.status, 0, nil); err != unix.EINTR {
				return
			}
		}
	}()
	return p
}

func (p *bundled) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *bundled) Pid() int { return p.Container.Pid }

// Close ends the process and lets the runtime clean up. Somebody may have
// deleted the container already.
func (p *bundled) Close() error {
	err := p.Kill(unix.SIGKILL)
	if errors.Is(err, oci.ErrNotRunning) {
		err = nil
	}
	<-p.ended
	deleted := p.Delete(true)
	if errors.Is(deleted, oci.ErrNotExist) {
		deleted = nil
	}
	return errors.Join(err, deleted)
}

// status asks what the runtime asks: the kernel, about the process that the
// state folder names.
func (x bundle) status(b *bench.Bench) (evidence.Fact, error) {
	fact := evidence.F("status", ociLine+"state "+x.name, evidence.Absent)
	c, err := runtimeOf(b).Open(x.name)
	if errors.Is(err, oci.ErrNotExist) {
		return fact, nil
	}
	if err != nil {
		return fact, err
	}
	fact.Values[0] = string(c.Report().Status)
	return fact, nil
}

// groupFact tells whether the container's control group is there. For an
// ordinary user there may be none.
func (x bundle) groupFact(b *bench.Bench) ([]evidence.Fact, error) {
	g, _, err := x.group().open(b)
	if err != nil {
		return nil, err
	}
	if err := cgroupdemo.Delegation(g.Places[0].Version, g.Places[0].Base); err != nil {
		return nil, asUntestable(err)
	}
	dir, value := g.Places[0].Dir, evidence.Absent
	if info, err := os.Stat(dir); err == nil {
		value = info.Mode().String()
	}
	return []evidence.Fact{evidence.F("control group", "ls -ld "+dir, value)}, nil
}

// runToEnd runs the program to its end, removes the container, and writes the
// exit status below what the program printed.
func (x bundle) runToEnd(ctx context.Context, b *bench.Bench) error {
	if err := x.create(b); err != nil {
		return err
	}
	if err := x.start(ctx, b); err != nil {
		return err
	}
	p := bench.Kept[*bundled](b, x.name)
	if err := waitFor(ctx, "the program has ended", p.hasEnded); err != nil {
		return err
	}
	out, err := os.OpenFile(b.Path(x.name+".out"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "exit %d\n", exitStatus(p.status))
	return errors.Join(err, out.Close(), b.Drop(x.name))
}

func (x bundle) runToEndLine() string {
	return ociLine + "run --bundle " + x.name + " " + x.name + " > " + x.name + ".out 2>&1 < /dev/null; echo exit $? >> " + x.name + ".out"
}
