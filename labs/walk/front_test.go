package walk

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cutaway/internal/evidence"
	"cutaway/internal/needs"
	"cutaway/labs/bench"
)

// tour is a front on a run folder of its own that records every event.
type tour struct {
	*Front
	mu     sync.Mutex
	events []Event
}

func newTour(t *testing.T) *tour {
	t.Helper()
	needs.Root(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tr := &tour{Front: &Front{RunDir: filepath.Join(t.TempDir(), "cutaway")}}
	tr.Choose = func(context.Context, bench.Lab) (Place, string) { return Host{Executable: exe}, "" }
	tr.Present = func(e Event, _ *Worker) {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.events = append(tr.events, e)
	}
	return tr
}

func (tr *tour) walk(t *testing.T, ctx context.Context, ids ...string) SummaryEvent {
	t.Helper()
	var picked []bench.Lab
	for _, l := range testLabs() {
		if slices.Contains(ids, l.ID) {
			picked = append(picked, l)
		}
	}
	sum, err := tr.Run(ctx, picked, []string{"ns-uts", "x"})
	if err != nil && ctx.Err() == nil {
		t.Fatalf("Run(%v): %v", ids, err)
	}
	if left, _ := filepath.Glob(tr.RunDir + "*"); len(left) > 0 {
		t.Errorf("Run(%v) left the run folder: %v", ids, left)
	}
	if len(sum.Residue) > 0 {
		t.Errorf("Run(%v) left residue: %v", ids, sum.Residue)
	}
	return sum
}

func (tr *tour) outcomes() map[string]evidence.Outcome {
	all := map[string]evidence.Outcome{}
	for _, e := range tr.events {
		if x, ok := e.(ExpectEvent); ok {
			all[x.Claim] = x.Outcome
		}
	}
	return all
}

func (tr *tour) lastLab() LabEvent {
	for _, e := range slices.Backward(tr.events) {
		if l, ok := e.(LabEvent); ok {
			return l
		}
	}
	return LabEvent{}
}

func TestALabPassesInGoAndByHand(t *testing.T) {
	for _, byHand := range []bool{false, true} {
		tr := newTour(t)
		tr.ByHand = byHand
		sum := tr.walk(t, t.Context(), "90")
		if sum.Labs.Pass != 1 || sum.Experiments.Reproduced != 1 {
			t.Errorf("by hand %v: summary %+v, events %+v; want one lab passed and one experiment", byHand, sum, tr.events)
		}
	}
}

func TestADrawingComesThroughUnlessTheActIsLeftOut(t *testing.T) {
	for omit, want := range map[string]int{"": 1, "start": 0} {
		tr := newTour(t)
		tr.Omit = omit
		tr.walk(t, t.Context(), "90")
		var got []evidence.Drawing
		for _, e := range tr.events {
			if d, ok := e.(DrawingEvent); ok {
				got = append(got, d.Drawing)
			}
		}
		if len(got) != want || (want == 1 && got[0].Lines[0] != "──") {
			t.Errorf("omit %q: drawings %v; want %d", omit, got, want)
		}
	}
}

func TestClaimsFailWhenTheActIsLeftOut(t *testing.T) {
	tr := newTour(t)
	tr.Omit = "rename"
	sum := tr.walk(t, t.Context(), "90")
	got := tr.outcomes()
	if got["the hostname inside is the new one"] != evidence.Fails {
		t.Errorf("outcomes %v; want the claim about the act to fail", got)
	}
	if got["the host's hostname stays"] != evidence.Holds {
		t.Errorf("outcomes %v; want the claim about what stays to hold", got)
	}
	if sum.Labs.Fail != 1 {
		t.Errorf("summary %+v; want a failed lab", sum)
	}
}

func TestAnUntestedStepIsNeverAPass(t *testing.T) {
	tr := newTour(t)
	sum := tr.walk(t, t.Context(), "93")
	if sum.Labs.Untested != 1 || sum.Experiments.Reproduced != 0 || !slices.Contains(sum.Experiments.Missing, "x") {
		t.Errorf("summary %+v; want an untested lab and no experiment", sum)
	}
}

func TestAnExtraStepUntestedDoesNotHurtTheLab(t *testing.T) {
	tr := newTour(t)
	if sum := tr.walk(t, t.Context(), "95"); sum.Labs.Pass != 1 || sum.Steps.Untested != 1 {
		t.Errorf("summary %+v; want the lab passed and the step untested", sum)
	}
}

func TestAKilledWorkerIsAFailedLabAndLeavesNothing(t *testing.T) {
	tr := newTour(t)
	sum := tr.walk(t, t.Context(), "92", "93")
	if sum.Labs.Fail != 1 || sum.Labs.Untested != 1 {
		t.Errorf("summary %+v; want the killed lab failed and the next one performed", sum)
	}
}

func TestABrokenOffLabIsPutBack(t *testing.T) {
	tr := newTour(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	tr.walk(t, ctx, "91")
	if got := tr.lastLab(); got.State != Fail || !strings.Contains(got.Reason, "broken off") {
		t.Errorf("last lab event %+v; want it broken off", got)
	}
}

func TestWhatALabLeavesIsRemovedByTheJournal(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("LITTER", dir)
	tr := newTour(t)
	tr.walk(t, t.Context(), "94")
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left %v; want nothing", left)
	}
}

func TestALabCannotWriteToTheMachinesFiles(t *testing.T) {
	tr := newTour(t)
	if sum := tr.walk(t, t.Context(), "96"); sum.Labs.Pass != 1 {
		t.Errorf("summary %+v, last event %+v; want the write refused and the lab passed", sum, tr.lastLab())
	}
}

func TestStepsBehindABrokenActAreNotPerformed(t *testing.T) {
	tr := newTour(t)
	if sum := tr.walk(t, t.Context(), "97"); sum.Steps.Fail != 1 || sum.Steps.Untested != 1 || sum.Labs.Fail != 1 {
		t.Errorf("summary %+v; want one step failed and the one behind it untested", sum)
	}
}

func TestEventsSurviveTheWire(t *testing.T) {
	for _, e := range []Event{
		LabEvent{Lab: "01", State: Pass}, StepEvent{Step: "s", Of: 2}, ByHandEvent{Lines: []HandLine{{Line: "x", Status: 1}}},
		EvidenceEvent{Columns: []string{"a"}, Rows: []Row{{"f", "p", []string{"v"}}}}, ExpectEvent{Outcome: evidence.Holds},
		PlotEvent{}, SummaryEvent{Seconds: 1}, AskEvent{At: "end"}, TTYEvent{Data: []byte("hi")},
	} {
		text, err := Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(text)
		if err != nil || back.kind() != e.kind() {
			t.Errorf("Decode(%s) = %+v, %v; want %+v", text, back, err, e)
		}
	}
	if _, err := Decode([]byte(`{"event":"nonsense"}`)); err == nil {
		t.Error("Decode of an unknown event succeeded")
	}
}
