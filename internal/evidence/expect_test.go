package evidence

import (
	"errors"
	"testing"
)

func observed(before, after map[string]string) Observed {
	o := Observed{Before: Facts{}, After: Facts{}, Params: map[string]string{"name": "box"}}
	for k, v := range before {
		o.Before.Add(F(k, "test", v))
	}
	for k, v := range after {
		o.After.Add(F(k, "test", v))
	}
	return o
}

func TestOutcomes(t *testing.T) {
	type m = map[string]string
	for name, c := range map[string]struct {
		claim         Expectation
		before, after m
		want          Outcome
	}{
		"becomes":               {Becomes("c", "x", Equals("1")), m{}, m{"x": "1"}, Holds},
		"becomes, was so":       {Becomes("c", "x", Equals("1")), m{"x": "1"}, m{"x": "1"}, Fails},
		"becomes, did not":      {Becomes("c", "x", Equals("1")), m{}, m{"x": "2"}, Fails},
		"becomes present":       {Becomes("c", "x", Present()), m{}, m{}, Fails},
		"is gone":               {Becomes("c", "x", Gone()), m{"x": "1"}, m{}, Holds},
		"keeps":                 {Keeps("c", "x"), m{"x": "1"}, m{"x": "1"}, Holds},
		"keeps, changed":        {Keeps("c", "x"), m{"x": "1"}, m{"x": "2"}, Fails},
		"keeps nothing":         {Keeps("c", "x"), m{}, m{}, Fails},
		"always":                {AlwaysIs("c", "x", Gone()), m{}, m{}, Holds},
		"always, appeared":      {AlwaysIs("c", "x", Gone()), m{}, m{"x": "1"}, Fails},
		"same":                  {Same("c", "x", "y"), m{}, m{"x": "1", "y": "1"}, Holds},
		"same, both absent":     {Same("c", "x", "y"), m{}, m{}, Fails},
		"differ":                {Differ("c", "x", "y"), m{}, m{"x": "1", "y": "2"}, Holds},
		"differ, one is absent": {Differ("c", "x", "y"), m{}, m{"x": "1"}, Fails},
		"between":               {Is("c", "x", Between(40, 60)), m{}, m{"x": "51.3 %"}, Holds},
		"between, outside":      {Is("c", "x", Between(40, 60)), m{}, m{"x": "61 %"}, Fails},
		"between, no number":    {Is("c", "x", Between(40, 60)), m{}, m{"x": "half"}, Fails},
		"param":                 {Is("c", "x", Param("name")), m{}, m{"x": "box"}, Holds},
		"not":                   {Is("c", "x", Not(Equals("1"))), m{}, m{"x": "2"}, Holds},
		"not, absent":           {Is("c", "x", Not(Equals("1"))), m{}, m{}, Fails},
		"matches":               {Is("c", "x", Matches(`^\d+$`)), m{}, m{"x": "42"}, Holds},
		"one of":                {Is("c", "x", OneOf("a", "b")), m{}, m{"x": "c"}, Fails},
	} {
		if got := c.claim.Check(observed(c.before, c.after)); got.Outcome != c.want || got.Want == "" {
			t.Errorf("%s: %+v; want %s and a text of what was wanted", name, got, c.want)
		}
	}
}

func TestColumns(t *testing.T) {
	o := observed(nil, nil)
	o.After.Add(F("ns", "readlink", "4026531840", "4026532000", "4026531840"))
	if got := ColumnsDiffer("c", "ns", 0, 1).Check(o); got.Outcome != Holds {
		t.Errorf("ColumnsDiffer = %+v; want holds", got)
	}
	if got := ColumnsSame("c", "ns", 0, 2).Check(o); got.Outcome != Holds {
		t.Errorf("ColumnsSame = %+v; want holds", got)
	}
	if got := ColumnsDiffer("c", "ns", 0, 3).Check(o); got.Outcome != Fails {
		t.Errorf("ColumnsDiffer with a column that is not there = %+v; want fails", got)
	}
}

func TestWhatCannotBeReadIsUntested(t *testing.T) {
	o := observed(nil, map[string]string{"x": "1"})
	o.Blind = map[string]*CannotTest{"x": {Reason: "needs root", WayOut: "run it with sudo"}}
	got := Is("c", "x", Equals("1")).Check(o)
	if got.Outcome != Untested || got.Reason != "needs root; run it with sudo" {
		t.Errorf("Check = %+v; want untested with reason and way out", got)
	}
	if !errors.As(error(o.Blind["x"]), new(*CannotTest)) {
		t.Error("CannotTest is lost behind the error interface")
	}
}
