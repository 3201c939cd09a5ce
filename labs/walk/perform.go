package walk

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"cutaway/internal/evidence"
	"cutaway/internal/probe"
	"cutaway/labs/bench"
)

// performer performs the steps of one lab on a bench.
type performer struct {
	lab   bench.Lab
	req   Request
	bench *bench.Bench
	emit  func(Event)
	shell *handShell
}

// errNotActed says that a step's act did not take place. The steps behind it
// stand on it: performed without it they could do something else than they say.
var errNotActed = errors.New("the act did not take place")

// step performs one step and reports how it ended. The error is errNotActed
// when the steps behind it must not be performed, or that of a walk that was
// broken off.
func (p *performer) step(ctx context.Context, number int, byHand bool) (State, error) {
	step := p.lab.Steps[number]
	start := time.Now()
	state, reason, err := p.perform(ctx, step, byHand)
	p.emit(StepEvent{
		Lab: p.lab.ID, Step: step.Name, State: state, Number: number + 1, Of: len(p.lab.Steps),
		Reproduces: step.Reproduces, Extra: step.Extra, Reason: reason, Seconds: time.Since(start).Seconds(),
	})
	if ctx.Err() != nil {
		return state, ctx.Err()
	}
	return state, err
}

// announce opens a step.
func (p *performer) announce(number int) {
	step := p.lab.Steps[number]
	p.emit(StepEvent{
		Lab: p.lab.ID, Step: step.Name, State: Start, Number: number + 1, Of: len(p.lab.Steps),
		Reproduces: step.Reproduces, Extra: step.Extra,
	})
	// What one would type comes before the act, so that it can be compared
	// with a prediction. When it is really run, its output is shown instead.
	if !p.req.ByHand && (step.ByHand.Lines != nil || step.ByHand.None != "") {
		p.emit(p.handLines(step, false, nil))
	}
}

func (p *performer) perform(ctx context.Context, step bench.Step, byHand bool) (State, string, error) {
	if reason := Missing(step.Needs, p.req.Probes); reason != "" {
		return Untested, reason, nil
	}
	var before reading
	if step.Do != nil {
		before = p.look(ctx, step)
	}
	omitted := step.Name == p.req.Omit
	if !omitted {
		if err := p.act(ctx, step, byHand); err != nil {
			state, reason := outcomeOf(err)
			if state == Fail {
				return state, reason, errNotActed
			}
			return state, reason, nil
		}
	}
	after := p.look(ctx, step)
	p.show(step, before, after)
	if err := errors.Join(p.draw(ctx, step), p.plot(ctx, step)); err != nil {
		state, reason := outcomeOf(err)
		return state, reason, nil
	}
	state, reason := p.judge(step, before, after)
	if omitted {
		return state, reason, errNotActed
	}
	return state, reason, nil
}

// outcomeOf tells an act that cannot be tested here from one that failed.
func outcomeOf(err error) (State, string) {
	var cannot *evidence.CannotTest
	if errors.As(err, &cannot) {
		return Untested, err.Error()
	}
	return Fail, err.Error()
}

// Missing names the first needed feature that this kernel lacks, and the way out.
func Missing(needs []probe.ID, found map[probe.ID]probe.Result) string {
	for _, id := range needs {
		r, ok := found[id]
		if !ok {
			return fmt.Sprintf("needs %s, which was not probed", id)
		}
		if probe.Usable(r.State) {
			continue
		}
		reason := fmt.Sprintf("needs %s, which is %s here", id, describe(r.State))
		if r.Reason != "" {
			reason += " (" + r.Reason + ")"
		}
		if r.Fix != "" {
			reason += "; " + r.Fix
		}
		return reason
	}
	return ""
}

func describe(s probe.State) string {
	switch s {
	case probe.No:
		return "missing"
	case probe.Off:
		return "switched off"
	case probe.Denied:
		return "not allowed to you"
	case probe.Limit:
		return "at its limit"
	default:
		return "in doubt"
	}
}

// act performs the step, in Go or by its shell lines.
func (p *performer) act(ctx context.Context, step bench.Step, byHand bool) error {
	if err := p.intend(step); err != nil {
		return err
	}
	if byHand && step.ByHand.Lines != nil {
		return p.actByHand(ctx, step)
	}
	if step.Do == nil {
		return nil
	}
	return step.Do(ctx, p.bench)
}

// intend puts on disk how to undo what the act will make.
func (p *performer) intend(step bench.Step) error {
	if step.Intend == nil {
		return nil
	}
	undos, err := step.Intend(p.bench)
	if err != nil {
		return err
	}
	for _, u := range undos {
		if err := p.bench.Intend(u); err != nil {
			return err
		}
	}
	return nil
}

func (p *performer) handLines(step bench.Step, ran bool, lines []HandLine) ByHandEvent {
	if lines == nil && step.ByHand.Lines != nil {
		for _, l := range step.ByHand.Lines(p.bench) {
			lines = append(lines, HandLine{Line: l})
		}
	}
	if lines == nil {
		lines = []HandLine{}
	}
	return ByHandEvent{Lab: p.lab.ID, Step: step.Name, Ran: ran, Lines: lines, None: step.ByHand.None}
}

func (p *performer) actByHand(ctx context.Context, step bench.Step) error {
	if err := findTools(step.ByHand.Tools); err != nil {
		return err
	}
	if p.shell == nil {
		shell, err := startHandShell(p.bench.Dir)
		if err != nil {
			return err
		}
		p.shell = shell
	}
	var ran []HandLine
	defer func() { p.emit(p.handLines(step, true, ran)) }()
	for _, line := range step.ByHand.Lines(p.bench) {
		done, err := p.shell.run(ctx, line)
		ran = append(ran, done)
		if err != nil {
			return err
		}
		if done.Status != 0 {
			return fmt.Errorf("the shell line %q exited with %d: %s", line, done.Status, strings.TrimSpace(done.Output))
		}
	}
	return nil
}

// findTools says which programs are missing and how to get them.
func findTools(tools []bench.Tool) error {
	for _, t := range tools {
		if _, err := exec.LookPath(t.Program); err == nil {
			continue
		}
		if !inShellPath(t.Program) {
			return &evidence.CannotTest{
				Reason: fmt.Sprintf("the program %s is not installed", t.Program),
				WayOut: fmt.Sprintf("apt-get install %s", t.Package),
			}
		}
	}
	return nil
}

func inShellPath(program string) bool {
	for dir := range strings.SplitSeq(shellPath(), ":") {
		if _, err := exec.LookPath(dir + "/" + program); err == nil {
			return true
		}
	}
	return false
}

// draw shows what there is. Where the act was left out there may be nothing.
func (p *performer) draw(ctx context.Context, step bench.Step) error {
	if step.Draw == nil || step.Name == p.req.Omit {
		return nil
	}
	drawing, err := step.Draw(ctx, p.bench)
	if err != nil {
		return fmt.Errorf("read what is to be drawn: %w", err)
	}
	p.emit(DrawingEvent{Lab: p.lab.ID, Step: step.Name, Drawing: drawing})
	return nil
}

func (p *performer) plot(ctx context.Context, step bench.Step) error {
	if step.Plot == nil || step.Name == p.req.Omit {
		return nil
	}
	plot, err := step.Plot(ctx, p.bench)
	if err != nil {
		return fmt.Errorf("measure for the plot: %w", err)
	}
	p.emit(PlotEvent{Lab: p.lab.ID, Step: step.Name, Plot: plot})
	return nil
}
