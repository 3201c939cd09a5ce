package present

import (
	"strings"

	"github.com/clipperhouse/displaywidth"

	"cutaway/labs/lesson"
)

// LabKeys finds the lesson of a lab: the file names carry number and name.
type LabKeys map[string]string

func (t *Text) key(lab string) string                   { return t.Keys[lab] }
func (t *Text) lesson(lab string) lesson.Lesson         { return t.Words.Lesson(t.key(lab)) }
func (t *Text) section(lab, step string) lesson.Section { return t.lesson(lab).Sections[step] }

// prose makes Markdown readable as text: paragraphs are joined into single
// lines, to be wrapped anew; lists and code keep their lines.
func prose(markdown string) string {
	var out []string
	code := false
	for line := range strings.SplitSeq(markdown, "\n") {
		fence := strings.HasPrefix(line, "```")
		if fence {
			code = !code
			continue
		}
		joins := len(out) > 0 && !code && line != "" && !strings.HasPrefix(line, "- ") &&
			out[len(out)-1] != "" && !strings.HasPrefix(out[len(out)-1], "    ")
		switch {
		case code:
			out = append(out, "    "+line)
		case joins:
			out[len(out)-1] += gap(out[len(out)-1], line) + line
		default:
			out = append(out, line)
		}
	}
	return strings.NewReplacer("**", "", "`", "").Replace(strings.Join(out, "\n"))
}

// gap is the space between two joined lines: none between Chinese characters.
func gap(left, right string) string {
	runes := []rune(left)
	if len(runes) > 0 && displaywidth.Rune(runes[len(runes)-1]) == 2 && displaywidth.Rune([]rune(right)[0]) == 2 {
		return ""
	}
	return " "
}

func pad(word string, width int) string {
	return word + strings.Repeat(" ", max(0, width-displaywidth.String(word)))
}

func indentAfter(first string, lines []string, rest string) string {
	return first + strings.Join(lines, "\n"+rest)
}
