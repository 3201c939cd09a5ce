package probe

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func resultsOf(states map[ID]State) []Result {
	var list []Result
	for id, s := range states {
		list = append(list, Result{ID: id, State: s})
	}
	return list
}

func TestExitCode(t *testing.T) {
	either := Requirement{Name: "legacy or nft", AnyOf: [][]ID{{"l1", "l2"}, {"n"}}}
	for _, c := range []struct {
		name   string
		states map[ID]State
		need   []Requirement
		want   int
	}{
		{"nothing required", nil, nil, 0},
		{"yes and module", map[ID]State{"a": Yes, "b": Module}, Each("a", "b"), 0},
		{"one is missing", map[ID]State{"a": Yes, "b": No}, Each("a", "b"), 1},
		{"off counts as missing", map[ID]State{"a": Off}, Each("a"), 1},
		{"a used-up limit too", map[ID]State{"a": Limit}, Each("a"), 1},
		{"denied is not missing", map[ID]State{"a": Denied}, Each("a"), 3},
		{"unknown is not missing", map[ID]State{"a": Unknown, "b": Yes}, Each("a", "b"), 3},
		{"missing outweighs denied", map[ID]State{"a": Denied, "b": No}, Each("a", "b"), 1},
		{"never asked", nil, Each("a"), 3},
		{"second way", map[ID]State{"l1": Yes, "l2": No, "n": Yes}, []Requirement{either}, 0},
		{"first way", map[ID]State{"l1": Yes, "l2": Module, "n": No}, []Requirement{either}, 0},
		{"half of a way is none", map[ID]State{"l1": Yes, "l2": No, "n": No}, []Requirement{either}, 1},
		{"a way may yet work", map[ID]State{"l1": No, "l2": No, "n": Denied}, []Requirement{either}, 3},
	} {
		if got := ExitCode(Judge(resultsOf(c.states), c.need)); got != c.want {
			t.Errorf("%s: ExitCode = %d; want %d", c.name, got, c.want)
		}
	}
}

func TestJudgeNamesTheWay(t *testing.T) {
	v := Judge(resultsOf(map[ID]State{"a": Module, "b": Yes}), []Requirement{{AnyOf: [][]ID{{"a"}, {"b"}}}})
	if diff := cmp.Diff([]ID{"b"}, v[0].By); diff != "" || v[0].State != Yes {
		t.Errorf("Judge = %v; want b, which needs no module", v)
	}
}

func TestCompose(t *testing.T) {
	on := []ConfigFact{{"SECURITY_SELINUX", "y"}}
	row := Probe{ID: "x", Fix: "table", Privilege: Root, built: true}
	if got := compose(row, Finding{State: No}, on); got.State != Off || got.Reason != reasonNotActive {
		t.Errorf("built and not in the list = %s, %q; want off", got.State, got.Reason)
	}
	if got := compose(row, Finding{State: No}, nil); got.State != No {
		t.Errorf("not in the list, no config = %s; want no", got.State)
	}
	if got := compose(row, Finding{State: Denied}, on); got.Fix != fixRoot || got.Reason == "" {
		t.Errorf("denied: fix %q, reason %q; want to run as root, and why", got.Fix, got.Reason)
	}
	if got := compose(row, Finding{State: No, Fix: "finding"}, nil); got.Fix != "finding" {
		t.Errorf("fix = %q; want the finding's own", got.Fix)
	}
}

func TestByConfig(t *testing.T) {
	c := parsed(t, "# Linux/x86 5.4.1 Kernel Configuration\nCONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n")
	for _, x := range []struct {
		p    Probe
		want State
	}{
		{Probe{Symbols: []string{"A"}}, Yes}, {Probe{Symbols: []string{"A", "B"}}, Module},
		{Probe{Symbols: []string{"C"}}, No}, {Probe{Symbols: []string{"D"}}, Unknown}, {Probe{}, Unknown},
		{Probe{Symbols: []string{"A"}, Since: "5.11"}, Unknown}, {Probe{Symbols: []string{"A"}, Since: "4.9"}, Yes},
		{Probe{Symbols: []string{"A"}, built: true}, Unknown},
	} {
		if got := byConfig(x.p, c); got.State != x.want {
			t.Errorf("byConfig(%v, since %q) = %s (%s); want %s", x.p.Symbols, x.p.Since, got.State, got.Reason, x.want)
		}
	}
}

func TestWithoutAsking(t *testing.T) {
	modular := moduleIndex{loadable: true, known: true, onDisk: map[string]bool{"dummy": true}}
	unlisted := moduleIndex{loadable: true}
	dummy := Probe{ID: "net.dummy", Symbols: []string{"DUMMY"}, Modules: []string{"dummy"}}
	for _, c := range []struct {
		name    string
		r       *runner
		p       Probe
		settled bool
		want    State
	}{
		{"on disk", &runner{modules: modular}, dummy, true, Module},
		{"on disk, may load", &runner{modules: modular, opt: Options{Load: true}}, dummy, false, ""},
		{"nowhere to load from", &runner{modules: modular}, Probe{Modules: []string{"other"}}, false, ""},
		{"no list of modules", &runner{modules: unlisted}, dummy, true, Unknown},
		{"no list, built in", &runner{modules: unlisted, config: parsed(t, "CONFIG_DUMMY=y\n")}, dummy, false, ""},
		{"no list, module", &runner{modules: unlisted, config: parsed(t, "CONFIG_DUMMY=m\n")}, dummy, true, Unknown},
		{"passive", &runner{opt: Options{Passive: true}}, dummy, true, Unknown},
		{"passive, not built", &runner{opt: Options{Passive: true}, config: parsed(t, "# CONFIG_DUMMY is not set\n")}, dummy, true, No},
		{"passive, a file proves it", &runner{opt: Options{Passive: true}}, Probe{File: "/proc/filesystems proc"}, true, Yes},
	} {
		f, settled := c.r.withoutAsking(c.p)
		if settled != c.settled || f.State != c.want {
			t.Errorf("%s: withoutAsking = %s, %v; want %s, %v", c.name, f.State, settled, c.want, c.settled)
		}
	}
}
