package present

import (
	"bufio"
	"io"
	"math"
	"strings"
)

// Table writes rows under heads. On a terminal each cell is wrapped to its
// share of the width; plain text, which is searched and copied from, keeps its
// lines whole.
func (s Style) Table(out io.Writer, heads []string, rows [][]string) {
	width := s.width() - 3*len(heads) - 1
	if s.Width == 0 {
		width = math.MaxInt32
	}
	widths := shares(heads, rows, width)
	wrapped := [][][]string{wrapCells(heads, widths)}
	for _, row := range rows {
		wrapped = append(wrapped, wrapCells(row, widths))
	}
	g := grid{out: bufio.NewWriter(out), boxes: s.Boxes, widths: filled(wrapped)}
	g.draw(wrapped)
	g.out.Flush()
}

func wrapCells(row []string, widths []int) [][]string {
	wrapped := make([][]string, len(widths))
	for i, w := range widths {
		wrapped[i] = wrap(row[i], w)
	}
	return wrapped
}

// filled are the widths that the columns have once their cells are wrapped:
// lines that break at spaces seldom fill all of their share.
func filled(rows [][][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			for _, line := range cell {
				widths[i] = max(widths[i], cells(line))
			}
		}
	}
	return widths
}

// grid draws a table whose columns have their widths already.
type grid struct {
	out    *bufio.Writer
	boxes  bool
	widths []int
}

// draw draws rows of cells of lines; the first row is the head.
func (g grid) draw(rows [][][]string) {
	g.rule("┌", "┬", "┐")
	for i, row := range rows {
		if i == 1 {
			g.rule("├", "┼", "┤")
		}
		g.row(row)
	}
	g.rule("└", "┴", "┘")
}

// rule is a line between rows; only boxes have them.
func (g grid) rule(left, middle, right string) {
	if !g.boxes {
		return
	}
	for _, w := range g.widths {
		g.out.WriteString(left + strings.Repeat("─", w+2))
		left = middle
	}
	g.out.WriteString(right + "\n")
}

// row takes as many lines as its highest cell has.
func (g grid) row(row [][]string) {
	bar, height := "", 0
	if g.boxes {
		bar = "│"
	}
	for _, cell := range row {
		height = max(height, len(cell))
	}
	for n := range height {
		for i, cell := range row {
			text := ""
			if n < len(cell) {
				text = cell[n]
			}
			g.out.WriteString(bar + " " + text + strings.Repeat(" ", g.widths[i]-cells(text)+1))
		}
		g.out.WriteString(bar + "\n")
	}
}

// shares divides the width: a column that needs less than an equal share gives
// the rest to those that need more.
func shares(heads []string, rows [][]string, width int) []int {
	need := make([]int, len(heads))
	for _, row := range append([][]string{heads}, rows...) {
		for i, cell := range row {
			for line := range strings.SplitSeq(cell, "\n") {
				need[i] = max(need[i], cells(line))
			}
		}
	}
	got := make([]int, len(heads))
	left, open := width, len(heads)
	for open > 0 {
		share, settled := max(left/open, 8), false
		for i := range need {
			if got[i] == 0 && need[i] <= share {
				got[i], settled = max(need[i], 1), true
				left -= got[i]
				open--
			}
		}
		if settled {
			continue
		}
		for i := range need {
			if got[i] == 0 {
				got[i] = share
			}
		}
		break
	}
	return got
}
