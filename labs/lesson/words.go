package lesson

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Words translates the program's own sentences into one language.
type Words struct {
	Lang     string
	files    fs.FS
	exact    map[string]string
	patterns []pattern
	lessons  map[string]Lesson
}

// pattern is a sentence with gaps: "needs {}, which is {} here".
type pattern struct {
	english *regexp.Regexp
	other   string
}

// NewWords reads words/<lang>.txt and words/<lang>-*.txt. English needs none.
func NewWords(files fs.FS, lang string) (*Words, error) {
	w := &Words{Lang: lang, files: files, exact: map[string]string{}, lessons: map[string]Lesson{}}
	if lang == Languages()[0] {
		return w, nil
	}
	paths, err := fs.Glob(files, "words/"+lang+"*.txt")
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("there are no texts in language %q (there are %s)", lang, strings.Join(Languages(), ", "))
	}
	terms := map[string]string{}
	for _, path := range paths {
		text, err := fs.ReadFile(files, path)
		if err == nil {
			err = addTerms(terms, string(text))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	// Of two patterns that fit, the one that says more is meant; the rest of
	// the order only has to be the same at every start.
	for _, english := range slices.SortedFunc(maps.Keys(terms), func(a, b string) int {
		return cmp.Or(cmp.Compare(said(b), said(a)), strings.Compare(a, b))
	}) {
		w.add(english, terms[english])
	}
	return w, nil
}

// said is how much of a pattern is not gaps.
func said(pattern string) int { return len(strings.ReplaceAll(pattern, "{}", "")) }

func (w *Words) add(english, other string) {
	if !strings.Contains(english, "{}") {
		w.exact[english] = other
		return
	}
	expr := strings.ReplaceAll(regexp.QuoteMeta(english), `\{\}`, "(.*?)")
	w.patterns = append(w.patterns, pattern{regexp.MustCompile("^" + expr + "$"), other})
}

// Say is the sentence in this language, or as it is when it is not known. The
// gaps of a pattern are filled in order, each translated in its turn.
func (w *Words) Say(english string) string {
	if other, ok := w.exact[english]; ok {
		return other
	}
	for _, p := range w.patterns {
		if m := p.english.FindStringSubmatch(english); m != nil {
			out := p.other
			for _, gap := range m[1:] {
				out = strings.Replace(out, "{}", w.Say(gap), 1)
			}
			return out
		}
	}
	return english
}

// Sayf fills the gaps of an English sentence and translates it.
func (w *Words) Sayf(english string, gaps ...any) string {
	out := w.exactOr(english)
	for _, g := range gaps {
		out = strings.Replace(out, "{}", fmt.Sprint(g), 1)
	}
	return out
}

func (w *Words) exactOr(english string) string {
	for _, p := range w.patterns {
		if p.english.MatchString(english) && strings.Count(p.other, "{}") == strings.Count(english, "{}") {
			return p.other
		}
	}
	return w.Say(english)
}

// Lesson is the prose of a lab, read once. A lab without prose has an empty
// one; a test of the labs sees to it that there is none.
func (w *Words) Lesson(lab string) Lesson {
	if l, ok := w.lessons[lab]; ok {
		return l
	}
	l, err := Load(w.files, w.Lang, lab)
	if err != nil {
		l = Lesson{Title: lab}
	}
	w.lessons[lab] = l
	return l
}

// Title is the title of a lab, without reading the rest of its prose.
func (w *Words) Title(lab string) string {
	file, err := w.files.Open(fmt.Sprintf("labs/%s/%s.md", w.Lang, lab))
	if err != nil {
		return lab
	}
	defer file.Close()
	// The title is the first line, and the only one that a list of labs needs.
	first := make([]byte, 200)
	n, err := io.ReadFull(file, first)
	if n == 0 && err != nil {
		return lab
	}
	title, _, _ := strings.Cut(string(first[:n]), "\n")
	return strings.TrimPrefix(title, "# ")
}

// Term translates a claim, a title or a fact of a lab.
func (w *Words) Term(lab, english string) string {
	if other, ok := w.Lesson(lab).Terms[english]; ok {
		return other
	}
	return w.Say(english)
}

// FromEnvironment is the language that the locale asks for (locale(7)), if
// there are texts in it, else English.
func FromEnvironment() string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := os.Getenv(name); value != "" {
			lang, _, _ := strings.Cut(strings.ToLower(value), "_")
			lang, _, _ = strings.Cut(lang, ".")
			for _, known := range Languages() {
				if lang == known {
					return known
				}
			}
			return Languages()[0]
		}
	}
	return Languages()[0]
}
