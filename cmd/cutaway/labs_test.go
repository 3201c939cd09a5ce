package main

import (
	"os"
	"slices"
	"testing"

	"cutaway/internal/evidence"
	"cutaway/internal/needs"
	"cutaway/labs"
	"cutaway/labs/bench"
	"cutaway/labs/walk"
)

// measuring are the labs that hold times and shares against one another. They
// are tested alone; all others mostly wait, and do that beside each other.
var measuring = []string{"10", "11", "12", "13", "14", "15", "16", "18", "21"}

// eachLab runs a test for every lab that this machine can perform, by number and
// name. The others go to a VM; TestLabsOfAGuest performs them there.
func eachLab(t *testing.T, test func(t *testing.T, l bench.Lab)) {
	for _, l := range labs.All() {
		t.Run(labs.Key(l), func(t *testing.T) {
			if why := whyNotHere(l, probeNeeds(t.Context(), l)); why != "" && os.Geteuid() == 0 {
				t.Skipf("this lab goes to a VM: %s", why)
			}
			if !slices.Contains(measuring, l.ID) {
				t.Parallel()
			}
			test(t, l)
		})
	}
}

func TestLabsPass(t *testing.T) {
	needs.Root(t)
	eachLab(t, func(t *testing.T, l bench.Lab) {
		got := newSession(t).run("lab", l.ID, "--json")
		complain(t, events(t, got.stdout))
		if got.code != exitOK {
			t.Errorf("exit code %d, stderr %s; want 0", got.code, got.stderr)
		}
	})
}

func TestLabsPassByHand(t *testing.T) {
	needs.Root(t)
	eachLab(t, func(t *testing.T, l bench.Lab) {
		got := newSession(t).run("lab", l.ID, "--json", "--by-hand")
		complain(t, events(t, got.stdout))
		if got.code != exitOK {
			t.Errorf("exit code %d, stderr %s; want 0", got.code, got.stderr)
		}
	})
}

// An ordinary user gets a pass or a reason, never a failure.
// On this kernel: TestLabsInAVM has what an ordinary user gets in a machine of
// their own.
func TestLabsAsAnOrdinaryUser(t *testing.T) {
	eachLab(t, func(t *testing.T, l bench.Lab) {
		got := newSession(t).asNobody().run("lab", l.ID, "--json", "--on", "host")
		all := events(t, got.stdout)
		complain(t, all)
		for _, e := range all {
			if s, ok := e.(walk.StepEvent); ok && s.State == walk.Untested && s.Reason == "" {
				t.Errorf("step %s is untested without a reason", s.Step)
			}
		}
		if got.code != exitOK && got.code != exitUntested {
			t.Errorf("exit code %d, stderr %s; want 0 or 3", got.code, got.stderr)
		}
	})
}

// Every claim about an act has been seen to fail: with the act left out, it
// does not hold.
func TestClaimsFailWithoutTheirAct(t *testing.T) {
	needs.Root(t)
	eachLab(t, func(t *testing.T, l bench.Lab) {
		for _, s := range l.Steps {
			if s.Do == nil {
				continue // the step only looks; its claims are tested over altered evidence
			}
			got := newSession(t).run("lab", l.ID, "--json", "--omit", s.Name)
			checkOmitted(t, s.Name, events(t, got.stdout))
		}
	})
}

func checkOmitted(t *testing.T, step string, all []walk.Event) {
	t.Helper()
	for _, e := range all {
		x, ok := e.(walk.ExpectEvent)
		if !ok || x.Step != step || x.Stays {
			continue
		}
		if x.Outcome == evidence.Holds {
			t.Errorf("step %s: %q holds although the act was left out (got %s)", step, x.Claim, x.Got)
		}
	}
}
