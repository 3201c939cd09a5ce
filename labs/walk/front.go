package walk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/journal"
	"cutaway/internal/probe"
	"cutaway/internal/residue"
	"cutaway/labs/bench"
)

// Front performs labs in workers and passes on what they tell, with the
// residue of each lab on the real machine.
type Front struct {
	// RunDir is the run folder (/run/cutaway).
	RunDir string
	// Choose says where a lab is performed: on this machine or in a VM. When it
	// can be performed nowhere, reason says why.
	Choose func(context.Context, bench.Lab) (place Place, reason string)
	// Present gets every event. It answers an AskEvent through the worker that
	// it is given.
	Present func(Event, *Worker)
	// Options of every lab.
	Step, ByHand bool
	Omit         string
	Params       map[string]string
	// Probes say what this machine's kernel has. It is asked when the lab's worker
	// has been started, which takes as long; nil says nothing.
	Probes func() map[probe.ID]probe.Result
	// Strict counts every change of the machine as residue, whoever made it.
	Strict bool

	lab    string // where we are, for the message of an interrupted run
	inStep string
}

// Where names the step that is being performed.
func (f *Front) Where() string {
	if f.lab == "" {
		return "before the first lab"
	}
	return fmt.Sprintf("in lab %s, step %s", f.lab, f.inStep)
}

// Run performs the labs in order and returns the summary. The error is of the
// front itself; a lab that fails or dies is an event.
func (f *Front) Run(ctx context.Context, labs []bench.Lab, experiments []string) (SummaryEvent, error) {
	// A worker dies with the thread that started it (PR_SET_PDEATHSIG), so one
	// thread starts them all and lives as long as we do.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := time.Now()
	sum := newSummary(experiments)
	before := residue.Take(f.folders()...)
	for _, lab := range labs {
		done, after, err := f.perform(ctx, lab, before, sum)
		if err != nil {
			return sum.event, err
		}
		before = after
		sum.lab(done)
		if ctx.Err() != nil {
			break
		}
	}
	sum.event.Seconds = time.Since(start).Seconds()
	f.Present(sum.close(), nil)
	return sum.event, ctx.Err()
}

func (f *Front) folders() []string {
	return []string{filepath.Join(f.RunDir, "scratch"), filepath.Join(f.RunDir, "journal")}
}

// perform runs one lab in a worker and compares the machine before and after.
func (f *Front) perform(ctx context.Context, lab bench.Lab, before residue.Snapshot, sum *summary) (LabEvent, residue.Snapshot, error) {
	f.lab, f.inStep = lab.ID, "none yet"
	start := time.Now()
	place, reason := f.Choose(ctx, lab)
	if reason != "" {
		return f.nowhere(lab, reason, sum), before, nil
	}
	run, err := f.beginRun()
	if err != nil {
		return LabEvent{}, nil, err
	}
	f.Present(LabEvent{Lab: lab.ID, Name: lab.Name, State: Start, Where: place.Name(), Kernel: place.Kernel()}, nil)
	done := f.follow(ctx, place, lab, run, sum)
	if err := run.End(); err != nil && done.State == Pass {
		done.State, done.Reason = Fail, err.Error()
	}
	after := residue.Take(f.folders()...)
	f.weigh(&done, run.ID, before, after)
	done.Where, done.Kernel, done.Seconds = place.Name(), place.Kernel(), time.Since(start).Seconds()
	f.Present(done, nil)
	return done, after, nil
}

// beginRun opens the journal of one lab. Whatever the worker starts carries
// the run's token; sweeping for it is the first intent, so that it is the last
// undo.
func (f *Front) beginRun() (*journal.Run, error) {
	run, err := journal.Begin(f.RunDir)
	if err != nil {
		return nil, err
	}
	return run, run.Intend(journal.Undo{Kind: journal.SweepMarked, Name: run.ID})
}

// nowhere reports a lab that cannot be performed, step by step.
func (f *Front) nowhere(lab bench.Lab, reason string, sum *summary) LabEvent {
	e := LabEvent{Lab: lab.ID, Name: lab.Name, State: Start, Where: "host", Kernel: KernelRelease()}
	f.Present(e, nil)
	for _, step := range untestedSteps(lab, reason) {
		sum.step(step)
		f.Present(step, nil)
	}
	e.State, e.Reason, e.Residue = Untested, reason, []string{}
	f.Present(e, nil)
	return e
}

// weigh puts the residue into the lab's last event.
func (f *Front) weigh(done *LabEvent, id string, before, after residue.Snapshot) {
	ours, others := residue.Split(residue.Diff(before, after), id, f.RunDir)
	if done.Residue == nil {
		done.Residue = []string{} // a VM may have reported residue of its own
	}
	if f.Strict {
		ours, others = append(ours, others...), nil
	}
	for _, c := range ours {
		done.Residue = append(done.Residue, c.String())
	}
	for _, c := range others {
		done.Others = append(done.Others, c.String())
	}
}

// follow starts a worker for the lab and passes its events on until it is done.
func (f *Front) follow(ctx context.Context, place Place, lab bench.Lab, run *journal.Run, sum *summary) LabEvent {
	died := LabEvent{Lab: lab.ID, Name: lab.Name, State: Fail}
	w, err := startWorker(ctx, place, run.ID, func() Request { return f.request(place, lab, run) })
	if err != nil {
		died.Reason = err.Error()
		return died
	}
	done, ended := f.listen(w, sum)
	if err := w.wait(); !ended {
		died.Reason = fmt.Sprintf("the lab's worker ended without a word: %v", err)
		if ctx.Err() != nil {
			died.Reason = "broken off: " + context.Cause(ctx).Error()
		}
		return died
	}
	return done
}

func (f *Front) request(place Place, lab bench.Lab, run *journal.Run) Request {
	req := Request{
		Lab: lab.ID, Where: place.Name(), RunDir: f.RunDir, Run: run.ID,
		Step: f.Step, ByHand: f.ByHand, Omit: f.Omit, Params: f.Params,
	}
	if f.Probes != nil {
		req.Probes = f.Probes()
	}
	return req
}

func (f *Front) listen(w *Worker, sum *summary) (done LabEvent, ended bool) {
	for event := range w.events {
		switch e := event.(type) {
		case LabEvent:
			done, ended = e, true
			continue // it lacks the residue yet
		case StepEvent:
			f.inStep = e.Step
			sum.step(e)
		}
		f.Present(event, w)
	}
	return done, ended
}

// KernelRelease is the release of the running kernel (uname(2)).
func KernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// DefaultRunDir is /run/cutaway for root, and a folder in XDG_RUNTIME_DIR (or
// the temporary folder) for others.
func DefaultRunDir() string {
	if os.Geteuid() == 0 {
		return "/run/cutaway"
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "cutaway")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("cutaway-%d", os.Getuid()))
}
