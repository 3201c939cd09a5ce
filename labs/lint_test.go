package labs

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cutaway/assets"
	"cutaway/internal/evidence"
	"cutaway/internal/journal"
	"cutaway/internal/probe"
	"cutaway/labs/bench"
	"cutaway/labs/lesson"
)

// A lab that stands in the index under another name than its own would be asked
// for in vain.
func TestIndexNamesLabs(t *testing.T) {
	for _, e := range Index() {
		if l := e.Make(); l.ID != e.ID || l.Name != e.Name {
			t.Errorf("the index calls lab %s %q; want %s %q", e.ID, e.Name, l.ID, l.Name)
		}
	}
}

func TestLabsAreWellFormed(t *testing.T) {
	ids, names := map[string]bool{}, map[string]bool{}
	experiments := ExperimentIDs()
	legal := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for i, l := range All() {
		if ids[l.ID] || names[l.Name] || !regexp.MustCompile(`^\d\d$`).MatchString(l.ID) || !legal.MatchString(l.Name) {
			t.Errorf("lab %q %q: number or name is not legal or not unique", l.ID, l.Name)
		}
		ids[l.ID], names[l.Name] = true, true
		if i > 0 && All()[i-1].ID >= l.ID {
			t.Errorf("lab %s stands behind %s", l.ID, All()[i-1].ID)
		}
		steps := map[string]bool{}
		for _, s := range l.Steps {
			if steps[s.Name] || !legal.MatchString(s.Name) {
				t.Errorf("lab %s: step name %q is not legal or not unique", l.ID, s.Name)
			}
			steps[s.Name] = true
			checkStep(t, l, s)
			for _, id := range s.Reproduces {
				if !slices.Contains(experiments, id) {
					t.Errorf("lab %s step %s reproduces the unknown experiment %q", l.ID, s.Name, id)
				}
			}
		}
	}
}

func checkStep(t *testing.T, l bench.Lab, s bench.Step) {
	t.Helper()
	where := "lab " + l.ID + " step " + s.Name
	if len(s.Expect) == 0 || len(s.Look) == 0 {
		t.Errorf("%s: nothing is read or nothing is claimed", where)
	}
	if (s.ByHand.Lines == nil) == (s.ByHand.None == "") {
		t.Errorf("%s: want shell lines, or the reason why there are none", where)
	}
	claims := map[string]bool{}
	for _, e := range s.Expect {
		if claims[e.Claim] || e.Claim == "" {
			t.Errorf("%s: claim %q is empty or stands twice", where, e.Claim)
		}
		claims[e.Claim] = true
		if len(e.Uses) == 0 || e.Judge == nil {
			t.Errorf("%s: claim %q names no facts", where, e.Claim)
		}
	}
}

func TestNeedsAreKnownFeatures(t *testing.T) {
	known := map[probe.ID]bool{}
	for _, p := range probe.All() {
		known[p.ID] = true
	}
	for _, id := range Needs(All()) {
		if !known[id] {
			t.Errorf("a lab needs %q, which no probe knows", id)
		}
	}
}

// Every experiment that stands in a lab's row of experiments.txt is reproduced
// by that lab, once the lab exists.
func TestLabsReproduceTheirExperiments(t *testing.T) {
	exists := map[string]bool{}
	for _, l := range All() {
		exists[l.ID] = true
	}
	for _, c := range Cover() {
		if exists[c.Lab] && len(c.Steps) == 0 && !later[c.ID] {
			t.Errorf("experiment %s of lab %s is reproduced by no step", c.ID, c.Lab)
		}
	}
}

// later are experiments whose lab exists but which need a part that does not yet.
var later = map[string]bool{}

func TestProseIsComplete(t *testing.T) {
	for _, lang := range lesson.Languages() {
		for _, l := range All() {
			prose, err := lesson.Load(assets.Files, lang, Key(l))
			if err != nil {
				t.Error(err)
				continue
			}
			if prose.Title == "" || prose.Intro == "" {
				t.Errorf("%s %s: no title or no introduction", lang, Key(l))
			}
			for _, s := range l.Steps {
				section := prose.Sections[s.Name]
				if section.Title == "" {
					t.Errorf("%s %s step %s: no section, or it has no title", lang, Key(l), s.Name)
				}
				for _, part := range section.Parts(lang) {
					if part[1] == "" {
						t.Errorf("%s %s step %s: no text under %q", lang, Key(l), s.Name, part[0])
					}
				}
			}
			if len(prose.Sections) != len(l.Steps) {
				t.Errorf("%s %s: %d sections for %d steps", lang, Key(l), len(prose.Sections), len(l.Steps))
			}
		}
	}
}

func TestTermsAreTranslated(t *testing.T) {
	for _, lang := range lesson.Languages()[1:] {
		words, err := lesson.NewWords(assets.Files, lang)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range All() {
			for _, s := range l.Steps {
				for _, english := range terms(s) {
					if words.Term(Key(l), english) == english {
						t.Errorf("%s %s: no translation of %q", lang, Key(l), english)
					}
				}
			}
		}
	}
}

func terms(s bench.Step) []string {
	var all []string
	for _, e := range s.Expect {
		all = append(all, e.Claim)
	}
	for _, v := range s.Look {
		all = append(all, v.Title)
	}
	if s.ByHand.None != "" {
		all = append(all, s.ByHand.None)
	}
	return all
}

// The programs of every shell line are named with their packages, so that a
// missing one can be told from a failing one.
func TestToolsOfShellLinesAreNamed(t *testing.T) {
	builtin := strings.Fields("cd echo printf test [ export read wait kill exit trap set ulimit umask : true false if then else fi for do done while case esac ! { } exec eval command sh until break")
	run, err := journal.Begin(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer run.End()
	for _, l := range All() {
		for _, s := range l.Steps {
			for _, tool := range s.ByHand.Tools {
				if _, err := exec.LookPath(tool.Program); err != nil && tool.Package == "" {
					t.Errorf("lab %s step %s: %s has no package", l.ID, s.Name, tool.Program)
				}
			}
			if s.ByHand.Lines == nil {
				continue
			}
			b := bench.New(t.TempDir(), "host", run, map[string]string{})
			for _, line := range s.ByHand.Lines(b) {
				word := firstWord(line)
				named := slices.ContainsFunc(s.ByHand.Tools, func(tool bench.Tool) bool { return tool.Program == word })
				if !named && !slices.Contains(builtin, word) {
					t.Errorf("lab %s step %s: %q begins with %q, which Tools does not name", l.ID, s.Name, line, word)
				}
			}
		}
	}
}

// firstWord is the program of a shell line, behind "!" and variable assignments.
func firstWord(line string) string {
	for word := range strings.FieldsSeq(line) {
		name, _, assigns := strings.Cut(word, "=")
		if word == "!" || (assigns && regexp.MustCompile(`^\w+$`).MatchString(name)) {
			continue
		}
		return strings.TrimLeft(word, "({")
	}
	return "true"
}

// A claim that cannot fail is worthless. Claims about the act are shown to
// fail by leaving the act out; the others are shown to fail here, over
// evidence in which every fact that they use has vanished or changed.
func TestEveryClaimCanFail(t *testing.T) {
	for _, l := range All() {
		for _, s := range l.Steps {
			for _, e := range s.Expect {
				if !canFail(e) {
					t.Errorf("lab %s step %s: claim %q holds whatever is read", l.ID, s.Name, e.Claim)
				}
			}
		}
	}
}

func canFail(e evidence.Expectation) bool {
	for _, value := range []string{evidence.Absent, "something else", "0", "-1", "99999999999"} {
		o := evidence.Observed{Before: evidence.Facts{}, After: evidence.Facts{}, Params: map[string]string{}}
		for _, name := range e.Uses {
			o.Before.Add(evidence.F(name, "test", "before", "before", "before"))
			o.After.Add(evidence.F(name, "test", value, value, value))
		}
		if e.Check(o).Outcome == evidence.Fails {
			return true
		}
	}
	return false
}
