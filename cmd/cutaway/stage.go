package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"cutaway/internal/probe"
	"cutaway/internal/vm"
	"cutaway/labs"
	"cutaway/labs/bench"
	"cutaway/labs/walk"
)

// stage decides for each lab where it is performed, and keeps the virtual
// machine that several labs share.
type stage struct {
	on     string
	probes map[probe.ID]probe.Result // what this machine's kernel has
	host   walk.Host
	guest  *guest
}

func newStage(ctx context.Context, picked []bench.Lab, on string, options vmOptions, progress io.Writer) (*stage, error) {
	if on != "auto" && on != "host" && on != "vm" {
		return nil, exitError{exitUsage, fmt.Errorf("--on %s: want auto, host or vm", on)}
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &stage{on: on, host: walk.Host{Executable: exe}, guest: &guest{options: options, progress: progress}}
	if on != "vm" {
		s.probes = probeNeeds(ctx, picked...)
	}
	return s, nil
}

// choose prefers this machine, and boots a VM only for a lab that this machine
// cannot perform.
func (s *stage) choose(ctx context.Context, l bench.Lab) (walk.Place, string) {
	why := ""
	if s.on != "vm" {
		why = whyNotHere(l, s.probes)
		if why == "" || s.on == "host" {
			return s.host, ""
		}
	}
	place, err := s.guest.place(ctx)
	if err == nil {
		return place, ""
	}
	if why != "" {
		err = fmt.Errorf("%s; and a virtual machine could not be had: %w", why, err)
	}
	return nil, err.Error()
}

// whyNotHere is the first thing that the lab needs and this machine lacks.
// What a step shows only on some kernels (Extra) is no reason to go elsewhere.
func whyNotHere(l bench.Lab, found map[probe.ID]probe.Result) string {
	if why := walk.Missing(l.Needs, found); why != "" {
		return why
	}
	for _, step := range l.Steps {
		if why := walk.Missing(step.Needs, found); why != "" && !step.Extra {
			return why
		}
	}
	return ""
}

func (s *stage) close() { s.guest.close() }

// probeNeeds asks the kernel about every feature that the labs need, once.
func probeNeeds(ctx context.Context, picked ...bench.Lab) map[probe.ID]probe.Result {
	ids := labs.Needs(picked)
	found := map[probe.ID]probe.Result{}
	if len(ids) == 0 {
		return found
	}
	for _, r := range probe.Run(ctx, probe.Options{}, ids...) {
		found[r.ID] = r
	}
	return found
}

// guest is the one machine that all labs of a run share. It is booted when the
// first of them needs it, and again when a lab has broken it.
type guest struct {
	options  vmOptions
	progress io.Writer
	machine  *vm.Machine
	release  string
	failed   error
}

func (g *guest) place(ctx context.Context) (walk.Place, error) {
	if g.machine != nil && g.machine.Err() != nil {
		g.close()
	}
	if g.machine == nil && g.failed == nil {
		if err := g.boot(ctx); err != nil && ctx.Err() == nil {
			g.failed = err // it will not go better for the next lab
		} else if err != nil {
			return nil, err
		}
	}
	if g.failed != nil {
		return nil, g.failed
	}
	return walk.VM{Machine: g.machine, Release: g.release}, nil
}

func (g *guest) boot(ctx context.Context) error {
	machine, kernel, err := g.options.boot(ctx, g.progress)
	if err != nil {
		return err
	}
	g.machine, g.release = machine, kernel.Release
	return nil
}

func (g *guest) close() {
	if g.machine != nil {
		g.machine.Close()
		g.machine = nil
	}
}

// relayError keeps a relay's failure apart from usage errors.
func relayError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return exitError{exitFailed, err}
}
