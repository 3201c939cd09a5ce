package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cutaway/internal/journal"
	"cutaway/internal/probe"
	"cutaway/labs"
	"cutaway/labs/bench"
	"cutaway/labs/present"
	"cutaway/labs/walk"
)

// labFlags are the flags of `cutaway lab`.
type labFlags struct {
	step, auto, json, byHand, predict, prose, plain, strict bool
	omit, on                                                string
	guest                                                   vmOptions
	set                                                     map[string]string
}

func (p *program) labCommand() *cobra.Command {
	var f labFlags
	cmd := &cobra.Command{
		Use:   "lab NUMBER|NAME|RANGE|all ...",
		Short: "Perform labs: act, read back from the kernel, prove, put back",
		Example: "  cutaway lab 01           one lab, pausing before each act\n" +
			"  cutaway lab 01-09 --auto several, without asking\n" +
			"  cutaway lab mount --by-hand",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			picked, err := labs.Select(args)
			if err != nil {
				return exitError{exitUsage, err}
			}
			return p.lab(cmd.Context(), picked, f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.step, "step", false, "pause before each act (the default at a terminal)")
	flags.BoolVar(&f.auto, "auto", false, "never ask (the default elsewhere)")
	flags.BoolVar(&f.json, "json", false, "one JSON object per line on stdout")
	flags.BoolVar(&f.byHand, "by-hand", false, "run the printed shell lines in place of the Go code")
	flags.BoolVar(&f.predict, "predict", false, "ask for a guess before each act")
	flags.BoolVar(&f.prose, "explain", false, "show the prose of each step with --auto, too")
	flags.BoolVar(&f.plain, "plain", false, "no colour and no box drawing")
	flags.StringToStringVar(&f.set, "set", nil, "choose a lab's parameter, e.g. hostname=box")
	flags.StringVar(&f.omit, "omit", "", "leave out the act of this step, to see its claims fail")
	flags.BoolVar(&f.strict, "strict", false, "count every change of the machine as residue, whoever made it")
	flags.StringVar(&f.on, "on", "auto", "where to perform: auto (this machine where it can, else a VM), host or vm")
	f.guest.register(flags)
	cmd.MarkFlagsMutuallyExclusive("step", "auto", "json")
	return cmd
}

// lab performs the labs and turns what happened into an exit code.
func (p *program) lab(ctx context.Context, picked []bench.Lab, f labFlags) error {
	if err := knownStep(picked, f.omit); err != nil {
		return exitError{exitUsage, err}
	}
	lock, err := journal.Take(p.runDir)
	if err != nil {
		return exitError{exitFailed, explainRunDir(err, p.runDir)}
	}
	defer lock.Release()
	ctx, stop := untilSignal(ctx)
	defer stop()
	stage, err := newStage(ctx, picked, f.on, f.guest, p.err)
	if err != nil {
		return err
	}
	defer stage.close()
	front, err := p.front(f)
	if err != nil {
		return err
	}
	front.Choose = stage.choose
	front.Probes = func() map[probe.ID]probe.Result { return stage.probes }
	sum, err := front.Run(ctx, picked, labs.ExperimentIDs())
	if cause := context.Cause(ctx); cause != nil {
		return brokenOff(cause, front.Where(), sum)
	}
	if err != nil {
		return exitError{exitFailed, explainRunDir(err, p.runDir)}
	}
	return verdict(sum)
}

func knownStep(picked []bench.Lab, omit string) error {
	if omit == "" {
		return nil
	}
	var names []string
	for _, l := range picked {
		for _, s := range l.Steps {
			if s.Name == omit {
				return nil
			}
			names = append(names, s.Name)
		}
	}
	return fmt.Errorf("no step %q to leave out; there are: %s", omit, strings.Join(names, ", "))
}

// front performs labs and presents them as the flags say.
func (p *program) front(f labFlags) (*walk.Front, error) {
	words, err := p.words()
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	terminal := isTerminal(p.in) && isTerminal(p.out)
	step := !f.auto && !f.json && (f.step || f.predict || terminal)
	if step && !terminal {
		return nil, exitError{exitUsage, errors.New("--step and --predict need a terminal for their questions; without one use --auto")}
	}
	front := &walk.Front{
		RunDir: p.runDir, Step: step, ByHand: f.byHand, Omit: f.omit, Params: f.set, Strict: f.strict,
	}
	text := present.Text{Out: p.out, Words: words, Style: p.style(f.plain), Prose: f.prose || step, Keys: labs.Keys()}
	switch {
	case f.json:
		front.Present = present.JSON{Out: p.out}.Event
	case step:
		front.Present = present.NewTerminal(text, p.in, f.predict).Event
	default:
		front.Present = text.Event
	}
	return front, nil
}

// signalled is the cause of a context that a signal ended.
type signalled struct{ signal syscall.Signal }

func (s signalled) Error() string { return "signal " + s.signal.String() }

// untilSignal is a context that SIGINT, SIGTERM or SIGHUP ends, so that a lab
// is broken off in order. So does SIGPIPE: a reader such as head(1) that has
// seen enough must not leave a lab half done.
func untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	go func() {
		select {
		case s := <-got:
			cancel(signalled{s.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { signal.Stop(got); cancel(nil) }
}

// brokenOff is the end of a run that a signal ended: the shell's convention is
// 128 and the signal's number.
func brokenOff(cause error, where string, sum walk.SummaryEvent) error {
	var s signalled
	code := exitFailed
	if errors.As(cause, &s) {
		code = 128 + int(s.signal)
	}
	state := "everything was put back"
	if len(sum.Residue) > 0 {
		state = "this is left, try `cutaway clean`: " + strings.Join(sum.Residue, "; ")
	}
	return exitError{code, fmt.Errorf("broken off by %w %s; %s", cause, where, state)}
}

// verdict is the exit code of a run. Residue weighs most: it is the learner's
// own machine.
func verdict(sum walk.SummaryEvent) error {
	switch {
	case len(sum.Residue) > 0:
		return exitError{code: exitResidue}
	case sum.Labs.Fail > 0:
		return exitError{code: exitFailed}
	case sum.Labs.Untested > 0:
		return exitError{code: exitUntested}
	}
	return nil
}

// explainRunDir adds what to do when the run folder cannot be written.
func explainRunDir(err error, dir string) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: the file system of %s is full; free some room there, or choose another folder with --run-dir", err, dir)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EPERM),
		errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %s cannot be written; choose another folder with --run-dir", err, dir)
	}
	return err
}

func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

func (p *program) style(plain bool) present.Style { return styleOf(p.out, plain) }

// styleOf is what the output may look like: colour and boxes only for a
// terminal, and never against NO_COLOR (no-color.org).
func styleOf(out io.Writer, plain bool) present.Style {
	file, ok := out.(*os.File)
	if plain || !ok || !isTerminal(out) {
		return present.Style{}
	}
	width, _, _ := term.GetSize(int(file.Fd()))
	return present.Style{Color: os.Getenv("NO_COLOR") == "", Boxes: true, Width: width}
}
