package probe

import (
	"regexp"
	"strings"
	"testing"
)

var (
	legalID     = regexp.MustCompile(`^[a-z0-9_]+([.-][a-z0-9_]+)*$`)
	legalSymbol = regexp.MustCompile(`^[A-Z0-9_]+(\|[A-Z0-9_]+)*$`)
)

func TestTable(t *testing.T) {
	seen := map[ID]bool{}
	functions := liveFunctions()
	used := map[string]bool{}
	for _, p := range All() {
		if seen[p.ID] {
			t.Errorf("%s: the id is there twice", p.ID)
		}
		seen[p.ID] = true
		if !legalID.MatchString(string(p.ID)) {
			t.Errorf("%s: not a legal id", p.ID)
		}
		for name, value := range map[string]string{
			"Group": p.Group, "Title": p.Title, "Effect": p.Effect, "Fix": p.Fix,
			"Live": p.Live, "place": string(p.place), "Privilege": string(p.Privilege),
		} {
			if value == "" || strings.Contains(value, "\n") {
				t.Errorf("%s: %s = %q; want one line", p.ID, name, value)
			}
		}
		for _, s := range p.Symbols {
			if !legalSymbol.MatchString(s) {
				t.Errorf("%s: symbol %q", p.ID, s)
			}
		}
		name, arg, _ := strings.Cut(p.Live, ":")
		used[name] = true
		if functions[name] == nil {
			t.Errorf("%s: there is no live function %q", p.ID, name)
		}
		if _, ok := bogusCalls()[arg]; name == "call" && !ok {
			t.Errorf("%s: there is no call %q", p.ID, arg)
		}
		if _, ok := seccompFlags[arg]; name == "seccomp" && !ok {
			t.Errorf("%s: there is no flag %q", p.ID, arg)
		}
	}
	for name := range functions {
		if !used[name] {
			t.Errorf("live function %q: no row uses it", name)
		}
	}
}

// Rows of a group stand together, because they are printed together.
func TestGroupsAreTogether(t *testing.T) {
	closed, last := map[string]bool{}, ""
	for _, p := range All() {
		if p.Group != last {
			if closed[p.Group] {
				t.Errorf("%s: group %q was left before", p.ID, p.Group)
			}
			closed[p.Group], last = true, p.Group
		}
	}
}

func TestProfilesNameRows(t *testing.T) {
	names := map[string]bool{}
	for _, p := range Profiles() {
		if names[p.Name] || p.Title == "" || len(p.Required) == 0 {
			t.Errorf("profile %q: twice, or without a title or requirements", p.Name)
		}
		names[p.Name] = true
		for _, id := range p.IDs() {
			if _, ok := Find(id); !ok {
				t.Errorf("profile %q: there is no row %q", p.Name, id)
			}
		}
	}
}

func TestConfigNeeds(t *testing.T) {
	want := regexp.MustCompile(`^[A-Z0-9_]+([|+][A-Z0-9_]+)*( (<|<=|>=)\d+\.\d+)*$`)
	for _, n := range ConfigNeeds() {
		if !want.MatchString(n.Want) {
			t.Errorf("%s: %q does not read A|B+C <1.2", n.Section, n.Want)
		}
	}
}
