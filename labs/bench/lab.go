package bench

import (
	"context"

	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/internal/probe"
)

// Lab is one lesson: a few steps that build on each other.
type Lab struct {
	ID    string // two digits, "01"
	Name  string // one word or two, "mount"
	Needs []probe.ID
	Steps []Step
}

// Step is one experiment of a lab.
type Step struct {
	Name string
	// Reproduces lists ids of the experiments that this step performs.
	Reproduces []string
	// Needs are kernel features that this step alone needs.
	Needs []probe.ID
	// Extra marks a step that shows what only some kernels have (the other
	// cgroup version, say). Where it cannot be performed it is untested, and
	// the lab still passes.
	Extra bool
	// Inside names the process whose namespaces `shell inside` enters.
	Inside string
	// Intend lists what the act will make on the real machine, as undos. They
	// are in the journal before the act, whoever performs it.
	Intend func(*Bench) ([]journal.Undo, error)
	// Do is the act: one mechanism call. nil for a step that only looks.
	Do func(context.Context, *Bench) error
	// ByHand is the shell that does the same.
	ByHand ByHand
	// Look is what to read before and after the act.
	Look []View
	// Plot is a measurement to draw, taken after the act.
	Plot func(context.Context, *Bench) (evidence.Plot, error)
	// Draw is a picture of what there is after the act.
	Draw func(context.Context, *Bench) (evidence.Drawing, error)
	// Expect is what is claimed over what was read.
	Expect []evidence.Expectation
}

// View reads facts that belong together.
type View struct {
	Title string
	// Columns head the values of each fact where places are compared side by
	// side, e.g. inside and host. Without them a fact has one value, and the
	// table shows it before and after the act.
	Columns []string
	Read    func(context.Context, *Bench) ([]evidence.Fact, error)
}

// ByHand is what a person would type for a step, in the scratch folder of the
// lab host.
type ByHand struct {
	// Lines are shell lines. A line that must fail begins with "!".
	Lines func(*Bench) []string
	// Tools are the programs that the lines use, none of them built into sh.
	Tools []Tool
	// None says why there is no shell equivalent; Lines is nil then.
	None string
}

// Tool is a program and the Debian package that brings it.
type Tool struct{ Program, Package string }

// Lines are shell lines that are the same on every machine.
func Lines(lines ...string) func(*Bench) []string {
	return func(*Bench) []string { return lines }
}
