package present

import (
	"fmt"
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
	g := grid{out: out, boxes: s.Boxes, widths: make([]int, len(heads))}
	share := shares(heads, rows, width)
	head := g.wrap(heads, share)
	var body [][][]string
	for _, row := range rows {
		body = append(body, g.wrap(row, share))
	}
	g.rule("┌", "┬", "┐")
	g.row(head)
	if len(body) > 0 {
		g.rule("├", "┼", "┤")
	}
	for _, row := range body {
		g.row(row)
	}
	g.rule("└", "┴", "┘")
}

// grid is where a table's lines go: each column is as wide as its widest line.
type grid struct {
	out    io.Writer
	boxes  bool
	widths []int
}

// wrap breaks a row's cells into lines and makes room for them.
func (g grid) wrap(row []string, share []int) [][]string {
	wrapped := make([][]string, len(g.widths))
	for i, cell := range row {
		wrapped[i] = wrap(cell, share[i])
		for _, line := range wrapped[i] {
			g.widths[i] = max(g.widths[i], cells(line))
		}
	}
	return wrapped
}

// row is as high as its highest cell.
func (g grid) row(cells [][]string) {
	height := 0
	for _, lines := range cells {
		height = max(height, len(lines))
	}
	for n := range height {
		g.line(cells, n)
	}
}

// line writes line n of each cell, or space where a cell has fewer.
func (g grid) line(row [][]string, n int) {
	bar := ""
	if g.boxes {
		bar = "│"
	}
	for i, lines := range row {
		text := ""
		if n < len(lines) {
			text = lines[n]
		}
		fmt.Fprint(g.out, bar, " ", text, strings.Repeat(" ", g.widths[i]-cells(text)+1))
	}
	fmt.Fprintln(g.out, bar)
}

// rule is a line between two rows, which tables without boxes do without.
func (g grid) rule(left, cross, right string) {
	if !g.boxes {
		return
	}
	var parts []string
	for _, width := range g.widths {
		parts = append(parts, strings.Repeat("─", width+2))
	}
	fmt.Fprintln(g.out, left+strings.Join(parts, cross)+right)
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
