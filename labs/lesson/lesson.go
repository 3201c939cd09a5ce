package lesson

import (
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"sync"
)

// Lesson is the prose of one lab in one language.
type Lesson struct {
	Title, Intro string
	Sections     map[string]Section // by step name
	Terms        map[string]string  // English to this language
}

// Section is the prose of one step, as Markdown.
type Section struct {
	Title                  string
	Why, Predict, Happened string
	Where, Further         string
	Answers                []Answer // choices of Predict, if it has any
}

// Answer is one choice of a prediction.
type Answer struct {
	Text  string
	Right bool
}

// heads are the headings of a section's parts in each language, in the order
// of parts.
var heads = sync.OnceValue(func() map[string][5]string {
	return map[string][5]string{
		"en": {"Why", "Predict", "What happened", "Where it matters", "Further reading"},
		"zh": {"为什么", "先猜一猜", "发生了什么", "在哪里用到", "延伸阅读"},
	}
})

// Languages are the codes of the languages that there are, the first one being
// the key of the others.
func Languages() []string { return []string{"en", "zh"} }

// Load reads the lesson of a lab, e.g. "01-mount".
func Load(files fs.FS, lang, lab string) (Lesson, error) {
	f, err := files.Open(fmt.Sprintf("labs/%s/%s.md", lang, lab))
	if err != nil {
		return Lesson{}, fmt.Errorf("the prose of lab %s in %s: %w", lab, lang, err)
	}
	defer f.Close()
	l, err := Parse(f, lang)
	if err != nil {
		return Lesson{}, fmt.Errorf("labs/%s/%s.md: %w", lang, lab, err)
	}
	return l, nil
}

// Parse reads a lesson. Unknown headings are errors: a misspelt one would make
// its text vanish.
func Parse(r io.Reader, lang string) (Lesson, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return Lesson{}, err
	}
	chunks := strings.Split("\n"+string(text), "\n## ")
	l := Lesson{Sections: map[string]Section{}, Terms: map[string]string{}}
	l.Title, l.Intro, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(chunks[0]), "# "), "\n")
	l.Intro = strings.TrimSpace(l.Intro)
	for _, chunk := range chunks[1:] {
		head, body, _ := strings.Cut(chunk, "\n")
		if head == "Terms" {
			if err := addTerms(l.Terms, body); err != nil {
				return l, err
			}
			continue
		}
		name, title, _ := strings.Cut(head, ": ")
		if _, twice := l.Sections[name]; twice {
			return l, fmt.Errorf("two sections for step %s", name)
		}
		section, err := parseSection(body, lang)
		if err != nil {
			return l, fmt.Errorf("step %s: %w", name, err)
		}
		section.Title = title
		l.Sections[name] = section
	}
	return l, nil
}

func parseSection(body, lang string) (Section, error) {
	var s Section
	parts := [5]*string{&s.Why, &s.Predict, &s.Happened, &s.Where, &s.Further}
	for _, chunk := range strings.Split("\n"+body, "\n### ")[1:] {
		head, text, _ := strings.Cut(chunk, "\n")
		known := false
		for i, h := range heads()[lang] {
			if strings.TrimSpace(head) == h {
				*parts[i], known = strings.TrimSpace(text), true
			}
		}
		if !known {
			return s, fmt.Errorf("unknown heading %q, want one of %q", head, heads()[lang])
		}
	}
	s.Predict, s.Answers = splitAnswers(s.Predict)
	return s, nil
}

var answerLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^- \[([ x])\] (.*)$`) })

// splitAnswers takes the choices out of a prediction.
func splitAnswers(text string) (question string, answers []Answer) {
	for _, m := range answerLine().FindAllStringSubmatch(text, -1) {
		answers = append(answers, Answer{Text: m[2], Right: m[1] == "x"})
	}
	return strings.TrimSpace(answerLine().ReplaceAllString(text, "")), answers
}

// addTerms reads lines "- english :: translation".
func addTerms(terms map[string]string, body string) error {
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		english, other, ok := strings.Cut(strings.TrimPrefix(line, "- "), " :: ")
		if !ok {
			return fmt.Errorf("term %q: want \"- english :: translation\"", line)
		}
		terms[strings.TrimSpace(english)] = strings.TrimSpace(other)
	}
	return nil
}

// Parts are the five parts of a section with their headings, in reading order.
func (s Section) Parts(lang string) [5][2]string {
	h := heads()[lang]
	return [5][2]string{{h[0], s.Why}, {h[1], s.Predict}, {h[2], s.Happened}, {h[3], s.Where}, {h[4], s.Further}}
}
