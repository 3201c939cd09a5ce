package present

import (
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// Style says how text may look. The zero Style is plain: no colour, no boxes.
type Style struct {
	Color bool
	Boxes bool
	Width int // columns of the terminal
}

const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s Style) paint(code, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Paragraph is text with a margin, wrapped where the width of the terminal is
// known; plain text keeps its lines whole.
func (s Style) Paragraph(margin, text string) string {
	if s.Width == 0 {
		return indent(margin, strings.Split(text, "\n"))
	}
	return indent(margin, wrap(text, s.width()-len(margin)))
}

func (s Style) width() int {
	if s.Width < 40 {
		return 100
	}
	return min(s.Width, 140)
}

// wrap breaks text into lines of at most width cells. It breaks at spaces
// where there are any and anywhere else in text without them (Chinese), but
// never before a closing mark or behind an opening one.
func wrap(text string, width int) []string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, wrapLine(line, width)...)
	}
	return lines
}

// cells is the width of text on a terminal, to which colours add nothing.
func cells(text string) int {
	return displaywidth.Options{ControlSequences: true}.String(text)
}

func wrapLine(line string, width int) []string {
	var lines []string
	for cells(line) > width {
		cut := breakPoint(line, width)
		lines = append(lines, strings.TrimRight(line[:cut], " "))
		line = strings.TrimLeft(line[cut:], " ")
	}
	return append(lines, line)
}

// breakPoint is the byte at which to break, at least one character in.
func breakPoint(line string, width int) int {
	used, space, last := 0, 0, 0
	for i, r := range line {
		w := displaywidth.Rune(r)
		if used+w > width && last > 0 {
			break
		}
		used += w
		last = i + len(string(r))
		if r == ' ' || r == '/' || (w == 2 && !strings.ContainsRune(opening, r) && !closesNext(line[last:])) {
			space = last
		}
	}
	if space > 0 {
		return space
	}
	return last
}

// opening are marks that must not end a line.
const opening = "（《「『“‘"

// closesNext tells whether the text goes on with a mark that must not begin a line.
func closesNext(rest string) bool {
	for _, r := range rest {
		return strings.ContainsRune("，。、；：？！）》」』”’…,.;:?!)", r)
	}
	return false
}

// indent puts a margin before every line.
func indent(margin string, lines []string) string {
	return margin + strings.Join(lines, "\n"+margin)
}
