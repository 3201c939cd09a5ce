package walk

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// reading is what the views of a step found at one moment, in order.
type reading struct {
	facts [][]evidence.Fact // for each view
	byID  evidence.Facts
	errs  map[string]error // views that failed, by title
}

// look reads all views of a step. A view that fails leaves its facts absent:
// before the act that is the usual thing (the process does not exist yet),
// after it the claims say what is missing.
func (p *performer) look(ctx context.Context, step bench.Step) reading {
	r := reading{byID: evidence.Facts{}, errs: map[string]error{}}
	for _, view := range step.Look {
		facts, err := view.Read(ctx, p.bench)
		r.facts = append(r.facts, facts)
		r.byID.Add(facts...)
		if err != nil {
			r.errs[view.Title] = err
		}
	}
	return r
}

// judge checks every claim and tells how the step ended: one failed claim
// fails it, else one untested claim makes it untested.
func (p *performer) judge(step bench.Step, before, after reading) (State, string) {
	observed := evidence.Observed{Before: before.byID, After: after.byID, Params: p.bench.Params, Blind: blind(step, after)}
	state, reason := Pass, ""
	for _, e := range step.Expect {
		v := e.Check(observed)
		if v.Outcome == evidence.Fails && v.Reason == "" {
			v.Reason = unreadable(after)
		}
		p.emit(ExpectEvent{
			Lab: p.lab.ID, Step: step.Name, Claim: e.Claim, Outcome: v.Outcome,
			Want: v.Want, Got: v.Got, Reason: v.Reason, Stays: e.Stays,
		})
		switch {
		case v.Outcome == evidence.Fails:
			state, reason = Fail, "claim does not hold: "+e.Claim
		case v.Outcome == evidence.Untested && state == Pass:
			state, reason = Untested, v.Reason
		}
	}
	return state, reason
}

// blind finds the facts that could not be read here through no fault of the
// step: every fact that a claim uses and no view brought, when a view said
// that it cannot read on this machine.
func blind(step bench.Step, after reading) map[string]*evidence.CannotTest {
	var cannot *evidence.CannotTest
	for _, err := range after.errs {
		if errors.As(err, &cannot) {
			break
		}
	}
	all := map[string]*evidence.CannotTest{}
	if cannot == nil {
		return all
	}
	for _, e := range step.Expect {
		for _, name := range e.Uses {
			if _, read := after.byID[name]; !read {
				all[name] = cannot
			}
		}
	}
	return all
}

func unreadable(r reading) string {
	for title, err := range r.errs {
		return fmt.Sprintf("%s could not be read: %v", title, err)
	}
	return ""
}

// show emits the tables. A view with columns of its own shows what is there
// after the act; the others show before and after side by side, where there
// was an act.
func (p *performer) show(step bench.Step, before, after reading) {
	for i, view := range step.Look {
		e := EvidenceEvent{Lab: p.lab.ID, Step: step.Name, Title: view.Title, Columns: view.Columns}
		switch {
		case len(view.Columns) > 0:
			e.Rows = rows(after.facts[i])
		case step.Do == nil:
			e.Columns, e.Rows = []string{"value"}, rows(after.facts[i])
		default:
			e.Columns = []string{"before", "after"}
			e.Rows = beside(before.facts[i], after.facts[i])
		}
		if len(e.Rows) > 0 {
			p.emit(e)
		}
	}
}

func rows(facts []evidence.Fact) []Row {
	var all []Row
	for _, f := range facts {
		all = append(all, Row{Fact: f.Name, From: f.From, Values: f.Values})
	}
	return all
}

// beside joins two readings by name: facts that went away stay in the table.
func beside(before, after []evidence.Fact) []Row {
	var all []Row
	had := evidence.Facts{}
	had.Add(before...)
	for _, f := range after {
		all = append(all, Row{f.Name, f.From, []string{had.Value(f.Name), f.Value()}})
	}
	for _, f := range before {
		if !slices.ContainsFunc(after, func(a evidence.Fact) bool { return a.Name == f.Name }) {
			all = append(all, Row{f.Name, f.From, []string{f.Value(), evidence.Absent}})
		}
	}
	return all
}
