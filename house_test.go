// Package cutaway_test holds the rules of the house that concern all packages.
package cutaway_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// forbidden are the edges that the import graph must not have, with the reason.
// Patterns are matched against whole package paths.
var forbidden = []struct{ from, to, why string }{
	{`cutaway/(nsdemo|cgroupdemo|unionfs|dmthin|netdemo|volumedemo)(/.*)?`, `cutaway/(labs|cmd|minicontainer)(/.*)?`,
		"a mechanism knows nothing of who uses it"},
	{`cutaway/(nsdemo|cgroupdemo|unionfs|dmthin|netdemo|volumedemo)(/.*)?`, `cutaway/internal/(journal|evidence|residue|vm)`,
		"a mechanism returns plain data; labs record and judge it"},
	{`cutaway/(nsdemo|cgroupdemo|unionfs|dmthin|netdemo|volumedemo)(/.*)?`, `log|log/slog`,
		"a mechanism never logs; it returns errors"},
	{`cutaway/internal/.*`, `cutaway/(labs|cmd|minicontainer|nsdemo|cgroupdemo|unionfs|dmthin|netdemo|volumedemo)(/.*)?`,
		"imports go downwards only"},
	{`cutaway/minicontainer(/.*)?`, `cutaway/(labs|cmd)(/.*)?`, "imports go downwards only"},
	{`cutaway/labs(/.*)?`, `cutaway/cmd(/.*)?`, "imports go downwards only"},
	{`cutaway/labs/(bench|walk|lesson|present)`, `cutaway/labs`, "the engine knows no lab by name"},
	{`cutaway/labs/(bench|walk)`, `cutaway/labs/(present|lesson)`, "performing does not depend on showing"},
	{`cutaway/assets`, `cutaway/.*`, "assets are data and import nothing"},
	{`cutaway/.*`, `github.com/google/go-cmp.*|testing`, "tests only: its init is paid at every start of a container"},
	{`cutaway/.*`, testSuites, "a test suite is for tests"},
	{`cutaway/.*`, `github.com/(charmbracelet/glamour|alecthomas/chroma).*`, "their init costs more than a container start"},
}

// testSuites are packages that only tests import, as net/http/httptest is; they
// may themselves import what tests do.
const testSuites = `cutaway/internal/(needs|engine)|cutaway/unionfs/contract|cutaway/internal/vm/vmtest`

// allowed are exceptions to the table, each with its reason.
var allowed = map[string]string{
	"cutaway/unionfs/aufs log": "go-fuse logs through a *log.Logger by itself; it is given one that discards",
}

// mechanisms meet in plain data and never import one another.
var mechanisms = []string{"nsdemo", "cgroupdemo", "unionfs", "dmthin", "netdemo", "volumedemo"}

func TestImportsGoDownwards(t *testing.T) {
	for from, imports := range importGraph(t) {
		if whole(testSuites).MatchString(from) {
			continue
		}
		for _, to := range imports {
			if allowed[from+" "+to] != "" {
				continue
			}
			for _, rule := range forbidden {
				if whole(rule.from).MatchString(from) && whole(rule.to).MatchString(to) {
					t.Errorf("%s imports %s: %s", from, to, rule.why)
				}
			}
			if a, b := mechanism(from), mechanism(to); a != "" && b != "" && a != b {
				t.Errorf("%s imports %s: mechanisms never import one another; they meet in plain data", from, to)
			}
		}
	}
}

func whole(expr string) *regexp.Regexp { return regexp.MustCompile("^(" + expr + ")$") }

func mechanism(path string) string {
	room, _, _ := strings.Cut(strings.TrimPrefix(path, "cutaway/"), "/")
	for _, m := range mechanisms {
		if room == m {
			return m
		}
	}
	return ""
}

// importGraph reads the imports of all non-test files.
func importGraph(t *testing.T) map[string][]string {
	t.Helper()
	graph := map[string][]string{}
	eachGoFile(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		pkg := "cutaway/" + filepath.Dir(path)
		for _, imp := range file.Imports {
			graph[pkg] = append(graph[pkg], strings.Trim(imp.Path.Value, `"`))
		}
	})
	return graph
}

func eachGoFile(t *testing.T, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			visit(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Every package teaches what it is in exactly one package comment.
func TestEveryPackageHasOneComment(t *testing.T) {
	comments := map[string]int{}
	eachGoFile(t, func(path string) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(path)
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		comments[dir] += 0
		if file.Doc != nil {
			comments[dir]++
		}
	})
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("%s has %d package comments; want one", dir, n)
		}
	}
}

// Unfinished work is not committed.
func TestNothingIsMarkedUnfinished(t *testing.T) {
	marks := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	eachGoFile(t, func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if m := marks.Find(text); m != nil {
			t.Errorf("%s says %s", path, m)
		}
	})
}
