package evidence

// Outcome of a claim. There are three, and they are never mixed up.
type Outcome string

const (
	Holds    Outcome = "holds"
	Fails    Outcome = "fails"
	Untested Outcome = "untested"
)

// Verdict is an outcome with what was wanted and what was found. Reason is
// set when the claim is untested, and may explain a failure.
type Verdict struct {
	Outcome   Outcome
	Want, Got string
	Reason    string
}

// Expectation is a claim over what was read.
type Expectation struct {
	// Claim is a full statement in plain words, e.g. "the mount is in the
	// inner mount table".
	Claim string
	// Uses names the facts that the claim reads. When one of them could not be
	// read here, the claim is untested.
	Uses []string
	// Stays marks a claim about what the act must leave alone: it is true
	// before the act as well.
	Stays bool
	// Judge decides from the two readings.
	Judge func(Observed) Verdict
}

// Check judges the claim, or declares it untested where a fact that it needs
// could not be read on this machine.
func (e Expectation) Check(o Observed) Verdict {
	for _, name := range e.Uses {
		if cannot, ok := o.Blind[name]; ok {
			return Verdict{Outcome: Untested, Want: "to read " + name, Got: "could not be read", Reason: cannot.Error()}
		}
	}
	return e.Judge(o)
}

// Becomes claims that the act made the fact match: it did not match before and
// does after.
func Becomes(claim, fact string, want Matcher) Expectation {
	return Expectation{Claim: claim, Uses: []string{fact}, Judge: func(o Observed) Verdict {
		before, after := o.Before.Value(fact), o.After.Value(fact)
		v := Verdict{Want: fact + " " + want.text(o), Got: after}
		switch {
		case !want.match(o, after):
			v.Outcome = Fails
		case want.match(o, before):
			v.Outcome, v.Reason = Fails, "it was so before the act, which therefore shows nothing"
		default:
			v.Outcome = Holds
		}
		return v
	}}
}

// Is claims that the fact matches after the act, whatever it was before. Use
// it for facts that only the act can bring about.
func Is(claim, fact string, want Matcher) Expectation {
	return Expectation{Claim: claim, Uses: []string{fact}, Judge: func(o Observed) Verdict {
		got := o.After.Value(fact)
		return verdict(want.match(o, got), fact+" "+want.text(o), got)
	}}
}

// Keeps claims that the act left the fact as it was, and that there was
// something to leave: an absent fact keeps nothing.
func Keeps(claim, fact string) Expectation {
	return Expectation{Claim: claim, Uses: []string{fact}, Stays: true, Judge: func(o Observed) Verdict {
		before, after := o.Before[fact].Value(), o.After[fact].Value()
		_, read := o.After[fact]
		return verdict(read && before == after, fact+" as before: "+before, after)
	}}
}

// AlwaysIs claims that the fact matches before and after: the act must not
// change it.
func AlwaysIs(claim, fact string, want Matcher) Expectation {
	return Expectation{Claim: claim, Uses: []string{fact}, Stays: true, Judge: func(o Observed) Verdict {
		before, after := o.Before.Value(fact), o.After.Value(fact)
		return verdict(want.match(o, before) && want.match(o, after), fact+" "+want.text(o)+", before and after", before+", then "+after)
	}}
}

// Same claims that two facts are equal after the act, and are there at all.
func Same(claim, a, b string) Expectation {
	return Expectation{Claim: claim, Uses: []string{a, b}, Judge: func(o Observed) Verdict {
		va, vb := o.After.Value(a), o.After.Value(b)
		return verdict(va == vb && va != Absent, a+" equal to "+b, va+" and "+vb)
	}}
}

// Differ claims that two facts are both there after the act and differ.
func Differ(claim, a, b string) Expectation {
	return Expectation{Claim: claim, Uses: []string{a, b}, Judge: func(o Observed) Verdict {
		va, vb := o.After.Value(a), o.After.Value(b)
		return verdict(va != vb && va != Absent && vb != Absent, a+" other than "+b, va+" and "+vb)
	}}
}

// ColumnsSame claims that columns i and j of a side-by-side fact are equal.
func ColumnsSame(claim, fact string, i, j int) Expectation {
	return columns(claim, fact, i, j, true)
}

// ColumnsDiffer claims that columns i and j of a side-by-side fact differ.
func ColumnsDiffer(claim, fact string, i, j int) Expectation {
	return columns(claim, fact, i, j, false)
}

func columns(claim, fact string, i, j int, equal bool) Expectation {
	word := map[bool]string{true: "equal", false: "different"}[equal]
	return Expectation{Claim: claim, Uses: []string{fact}, Judge: func(o Observed) Verdict {
		a, b := o.After.Column(fact, i), o.After.Column(fact, j)
		ok := (a == b) == equal && a != Absent && b != Absent
		return verdict(ok, fact+": "+word+" on both sides", a+" and "+b)
	}}
}

// Custom is a claim with a judge of its own over the named facts.
func Custom(claim string, uses []string, judge func(Observed) Verdict) Expectation {
	return Expectation{Claim: claim, Uses: uses, Judge: judge}
}

// Judged turns a comparison into a verdict.
func Judged(ok bool, want, got string) Verdict { return verdict(ok, want, got) }

func verdict(ok bool, want, got string) Verdict {
	outcome := Fails
	if ok {
		outcome = Holds
	}
	return Verdict{Outcome: outcome, Want: want, Got: got}
}
