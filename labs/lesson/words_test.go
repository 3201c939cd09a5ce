package lesson

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cutaway/assets"
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

// Every sentence that the program says through Say, Sayf or say stands in the
// list of words.
func TestEverySentenceIsTranslated(t *testing.T) {
	w := zh(t)
	for _, dir := range []string{"../present", "../../cmd/cutaway"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, sentence := range sentences(t, path) {
				if w.exactOr(sentence) == sentence && strings.Trim(sentence, "{} ") != "" {
					t.Errorf("%s: no translation of %q in assets/words/zh.txt", path, sentence)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// sentences are the string literals that stand as first argument of a call
// that speaks.
func sentences(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		name := ""
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			name = f.Sel.Name
		case *ast.Ident:
			name = f.Name
		}
		lit, ok := call.Args[0].(*ast.BasicLit)
		if ok && lit.Kind == token.STRING && (name == "Say" || name == "Sayf" || name == "say") {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				all = append(all, s)
			}
		}
		return true
	})
	return all
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
