package walk

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"cutaway/internal/journal"
	"cutaway/labs/bench"
)

// Finder makes the lab of a number, if there is one: labs.Find.
type Finder func(id string) (bench.Lab, bool)

// Work is the whole life of a worker: it reads a Request, performs that lab in
// the namespaces that it was started in, and puts back what it made. Events go
// to out; the end of in means that the front is gone, and the lab is broken off.
func Work(ctx context.Context, find Finder, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	input := json.NewDecoder(bufio.NewReader(in))
	req, lab, err := readRequest(input, find)
	if err != nil {
		return err
	}
	w := &worker{lab: lab, req: req, out: out, replies: make(chan Reply)}
	go w.listen(ctx, input, cancel)
	return w.perform(ctx)
}

// readRequest reads the first line and finds the lab that it asks for.
func readRequest(input *json.Decoder, find Finder) (Request, bench.Lab, error) {
	var req Request
	if err := input.Decode(&req); err != nil {
		return req, bench.Lab{}, fmt.Errorf("read the request: %w", err)
	}
	lab, ok := find(req.Lab)
	if !ok {
		return req, bench.Lab{}, fmt.Errorf("unknown lab %q", req.Lab)
	}
	return req, lab, nil
}

type worker struct {
	lab     bench.Lab
	req     Request
	replies chan Reply
	mu      sync.Mutex // of out: a shell's output and events may meet
	out     io.Writer
}

func (w *worker) emit(e Event) {
	text, err := Encode(e)
	if err != nil {
		panic(err) // an event is plain data of ours
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.Write(append(text, '\n'))
}

// listen passes replies on until the front goes away.
func (w *worker) listen(ctx context.Context, input *json.Decoder, gone func()) {
	defer gone()
	for {
		var r Reply
		if err := input.Decode(&r); err != nil {
			return
		}
		select {
		case w.replies <- r:
		case <-ctx.Done():
			return
		}
	}
}

func (w *worker) perform(ctx context.Context) error {
	if reason := Missing(w.lab.Needs, w.req.Probes); reason != "" {
		w.untested(reason)
		return nil
	}
	if err := isolate(w.req.RunDir); err != nil {
		return err
	}
	run, err := journal.Continue(w.req.RunDir, w.req.Run)
	if err != nil {
		return err
	}
	defer run.Close()
	dir, err := makeLabHost(run, w.req.RunDir)
	if err != nil {
		return err
	}
	// From here on "." is the scratch folder: views and acts use short paths,
	// and evidence reads as the learner would type it.
	if err := os.Chdir(dir); err != nil {
		return err
	}
	state, reason, err := w.steps(ctx, run, dir)
	if err != nil && reason == "" {
		state, reason = Fail, err.Error()
	}
	w.emit(LabEvent{Lab: w.lab.ID, Name: w.lab.Name, State: state, Reason: reason})
	return nil
}

// untested reports the lab and each of its steps as not performed.
func (w *worker) untested(reason string) {
	for _, e := range untestedSteps(w.lab, reason) {
		w.emit(e)
	}
	w.emit(LabEvent{Lab: w.lab.ID, Name: w.lab.Name, State: Untested, Reason: reason})
}

func untestedSteps(lab bench.Lab, reason string) []StepEvent {
	var all []StepEvent
	for i, s := range lab.Steps {
		all = append(all, StepEvent{
			Lab: lab.ID, Step: s.Name, State: Untested, Number: i + 1, Of: len(lab.Steps),
			Reproduces: s.Reproduces, Extra: s.Extra, Reason: reason,
		})
	}
	return all
}

// steps walks the lab from the first step to the last. Going back puts
// everything back and performs the earlier steps once more, unseen: a lab's
// steps stand on each other, and the kernel has no "undo the last step".
func (w *worker) steps(ctx context.Context, run *journal.Run, dir string) (State, string, error) {
	mark, err := run.Mark()
	if err != nil {
		return Fail, "", err
	}
	from := 0
	for {
		stage, err := w.stage(dir, run)
		if err != nil {
			return Fail, "", err
		}
		state, reason, back, err := w.walkFrom(ctx, stage, from)
		err = errors.Join(err, stage.tearDown(run, mark))
		if back < 0 || err != nil {
			return state, reason, err
		}
		from = back
	}
}

// stage is a bench with its performer, torn down as one.
type stage struct{ *performer }

func (w *worker) stage(dir string, run *journal.Run) (stage, error) {
	if err := emptyDir(dir); err != nil {
		return stage{}, err
	}
	params := map[string]string{}
	for k, v := range w.req.Params {
		params[k] = v
	}
	b := bench.New(dir, w.req.Where, run, params)
	return stage{&performer{lab: w.lab, req: w.req, bench: b, emit: w.emit}}, nil
}

// tearDown puts back what the steps made. Processes go first, since they hold
// mounts, groups and devices busy.
func (s stage) tearDown(run *journal.Run, mark int) error {
	if s.shell != nil {
		s.shell.close()
	}
	err := s.bench.Close()
	err = errors.Join(err, (&journal.Undo{Kind: journal.SweepMarked, Name: run.ID}).Apply())
	return errors.Join(err, run.PutBackTo(mark), unmountBelow(s.bench.Dir), forgetNetNames(), emptyHostNet())
}

// walkFrom performs the lab, the steps before `from` unseen. back is the step
// to start over at, or -1 when the lab is over.
func (w *worker) walkFrom(ctx context.Context, s stage, from int) (state State, reason string, back int, err error) {
	state = Pass
	for i, step := range w.lab.Steps {
		byHand := w.req.ByHand
		if i < from {
			s.emit = func(Event) {}
		} else {
			s.emit = w.emit
			s.announce(i)
			if w.req.Step {
				choice, err := w.ask(ctx, s, AskEvent{Lab: w.lab.ID, Step: step.Name, At: "before", First: i == 0}, step.Inside)
				switch {
				case err != nil || choice == Quit:
					return Untested, "broken off by the learner", -1, err
				case choice == Back && i > 0:
					return state, "", i - 1, nil
				}
				byHand = byHand || choice == HandIt
			}
		}
		stepState, err := s.step(ctx, i, byHand)
		if err != nil && err != errNotActed {
			return Fail, "broken off in step " + step.Name, -1, err
		}
		state, reason = worse(state, reason, stepState, step)
		if err == errNotActed {
			return w.leaveOut(i+1, state, reason)
		}
	}
	return w.finish(ctx, s, state, reason)
}

// leaveOut reports the steps from `from` on as not performed.
func (w *worker) leaveOut(from int, state State, reason string) (State, string, int, error) {
	left := untestedSteps(w.lab, "not performed, since the act of an earlier step did not take place")
	for _, e := range left[from:] {
		w.emit(e)
	}
	if len(left[from:]) > 0 && state == Pass {
		state, reason = Untested, "some steps were not performed"
	}
	return state, reason, -1, nil
}

// finish lets the learner look around before everything is put back.
func (w *worker) finish(ctx context.Context, s stage, state State, reason string) (State, string, int, error) {
	if !w.req.Step {
		return state, reason, -1, nil
	}
	last := w.lab.Steps[len(w.lab.Steps)-1]
	choice, err := w.ask(ctx, s, AskEvent{Lab: w.lab.ID, Step: last.Name, At: "end"}, last.Inside)
	if choice == Back {
		return state, "", len(w.lab.Steps) - 1, err
	}
	return state, reason, -1, err
}

// worse folds a step's outcome into the lab's. What only some kernels have
// (Extra) and could not be tested here does not count against the lab.
func worse(state State, reason string, step State, s bench.Step) (State, string) {
	switch {
	case step == Fail:
		return Fail, "step " + s.Name + " failed"
	case step == Untested && state == Pass && !s.Extra:
		return Untested, "step " + s.Name + " could not be tested here"
	}
	return state, reason
}

// ask waits for the learner's choice, and serves shells meanwhile.
func (w *worker) ask(ctx context.Context, s stage, e AskEvent, inside string) (string, error) {
	for {
		pid, err := s.bench.Pid(inside)
		e.Inside = err == nil
		w.emit(e)
		select {
		case <-ctx.Done():
			return Quit, ctx.Err()
		case r := <-w.replies:
			switch r.Do {
			case ShellIn:
				w.serveShell(ctx, s.bench.Dir, pid, r)
			case ShellHost:
				w.serveShell(ctx, s.bench.Dir, 0, r)
			default:
				return r.Do, nil
			}
		}
	}
}
