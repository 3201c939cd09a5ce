package lesson

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"cutaway/assets"
	"cutaway/internal/probe"
)

func zh(t *testing.T) *Words {
	t.Helper()
	w, err := NewWords(assets.Files, "zh")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestSay(t *testing.T) {
	w := zh(t)
	for english, want := range map[string]string{
		"PASS":               "通过",
		"not in the list":    "not in the list",
		"broken off: signal": "中止：signal",
		"needs ns.time, which is missing here; boot another": "需要 ns.time，而这里没有；boot another",
	} {
		if got := w.Say(english); got != want {
			t.Errorf("Say(%q) = %q; want %q", english, got, want)
		}
	}
	if got := w.Sayf("lab {} in {} s", "01", 2); got != "实验 01，用时 2 秒" {
		t.Errorf("Sayf = %q", got)
	}
}

// Every sentence that the program says stands in the lists of words: what is
// an argument of a call that speaks, and what internal/probe finds reasons with.
func TestEverySentenceIsTranslated(t *testing.T) {
	w := zh(t)
	for _, dir := range []string{"../present", "../../cmd/cutaway", "../../internal/probe", "../../cgroupdemo"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, sentence := range sentences(t, path) {
				checkTranslated(t, w, path, sentence)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The texts of the table of probes are data: they are read from the table itself.
func TestProbesAreTranslated(t *testing.T) {
	w := zh(t)
	for _, p := range probe.All() {
		for _, sentence := range []string{p.Group, p.Title, p.Effect, p.Fix} {
			checkTranslated(t, w, string(p.ID), sentence)
		}
	}
	for _, p := range probe.Profiles() {
		for _, r := range p.Required {
			if _, alone := probe.Find(probe.ID(r.Name)); !alone {
				checkTranslated(t, w, "profile "+p.Name, r.Name)
			}
		}
	}
	for _, n := range probe.ConfigNeeds() {
		checkTranslated(t, w, "config needs", n.Section)
	}
	for _, state := range []probe.State{probe.Yes, probe.Module, probe.Off, probe.Denied, probe.Limit, probe.No, probe.Unknown} {
		checkTranslated(t, w, "states", "state: "+string(state))
	}
}

// name is what is called the same in every language: a file, a call, a device,
// a command without a comment.
var name = regexp.MustCompile(`^(v[12] )?[a-z0-9_.-]+$|^modprobe -a {}$`)

// verbs are what fmt fills in.
var verbs = regexp.MustCompile(`%[a-z]`)

func checkTranslated(t *testing.T, w *Words, where, sentence string) {
	t.Helper()
	sentence = strings.TrimSpace(sentence)
	said := strings.ContainsFunc(verbs.ReplaceAllString(sentence, ""), unicode.IsLetter)
	if said && w.exactOr(sentence) == sentence && !name.MatchString(sentence) {
		t.Errorf("%s: no translation of %q in assets/words/zh*.txt", where, sentence)
	}
}

// speaks are the functions whose first argument is shown to people.
var speaks = map[string]bool{"Say": true, "Sayf": true, "say": true, "line": true, "tr": true, "fill": true, "table": true, "because": true}

// shown are the fields that are, and the constants whose names begin like this.
var shown = regexp.MustCompile(`^(Reason|Fix|meanings|(reason|fix|config[A-Z][a-z]+Kernel|section)[A-Z]\w*)$`)

// sentences are the string literals of a file that are shown to people.
func sentences(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if speaks[nameOf(n.Fun)] && len(n.Args) > 0 {
				all = append(all, literals(n.Args[0])...)
			}
		case *ast.KeyValueExpr:
			if shown.MatchString(nameOf(n.Key)) {
				all = append(all, literals(n.Value)...)
			}
		case *ast.ValueSpec:
			for i := range n.Values {
				if shown.MatchString(n.Names[i].Name) {
					all = append(all, literals(n.Values[i])...)
				}
			}
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				if len(n.Lhs) == len(n.Rhs) && shown.MatchString(nameOf(to)) {
					all = append(all, literals(n.Rhs[i])...)
				}
			}
		}
		return true
	})
	return all
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// literals are the sentences that an expression spells: one, a list of them,
// or one with gaps where it is put together.
func literals(e ast.Expr) []string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return []string{s}
		}
	case *ast.CompositeLit:
		var all []string
		for _, element := range e.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				element = pair.Value
			}
			all = append(all, literals(element)...)
		}
		return all
	case *ast.BinaryExpr:
		left, right := literals(e.X), literals(e.Y)
		if len(left)+len(right) > 0 {
			return []string{strings.Join(append(left, "{}"), "") + strings.Join(right, "")}
		}
	}
	return nil
}

func TestParseRefusesAMisspeltHeading(t *testing.T) {
	if _, err := Parse(strings.NewReader("# T\nintro\n\n## s: title\n### Whyy\ntext\n"), "en"); err == nil {
		t.Error("Parse took an unknown heading")
	}
	l, err := Parse(strings.NewReader("# T\nintro\n\n## s: title\n### Why\ntext\n### Predict\nQ?\n- [ ] a\n- [x] b\n"), "en")
	if err != nil {
		t.Fatal(err)
	}
	s := l.Sections["s"]
	if l.Title != "T" || s.Title != "title" || s.Why != "text" || s.Predict != "Q?" || len(s.Answers) != 2 || !s.Answers[1].Right {
		t.Errorf("Parse = %+v", l)
	}
}

func TestFromEnvironment(t *testing.T) {
	for locale, want := range map[string]string{"zh_CN.UTF-8": "zh", "en_US.UTF-8": "en", "C": "en", "de_DE": "en"} {
		t.Setenv("LC_ALL", locale)
		if got := FromEnvironment(); got != want {
			t.Errorf("FromEnvironment with LC_ALL=%s = %q; want %q", locale, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("# T\nintro\n\n## s: title\n### Why\ntext\n")
	f.Add("## Terms\n- a :: b\n")
	f.Fuzz(func(_ *testing.T, text string) { Parse(strings.NewReader(text), "en") })
}
