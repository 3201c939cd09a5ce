package present

import (
	"io"
	"math"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
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
	rendition := tw.Rendition{Borders: tw.BorderNone, Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone}}
	if s.Boxes {
		rendition = tw.Rendition{Symbols: tw.NewSymbols(tw.StyleLight)}
	}
	table := tablewriter.NewTable(out,
		tablewriter.WithRenderer(renderer.NewBlueprint(rendition)),
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAlignment(tw.AlignLeft),
		tablewriter.WithRowAlignment(tw.AlignLeft),
		tablewriter.WithEastAsian(false),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithTrimSpace(tw.Off),
	)
	table.Header(wrapCells(heads, widths))
	for _, row := range rows {
		table.Append(wrapCells(row, widths))
	}
	table.Render()
}

func wrapCells(cells []string, widths []int) []string {
	wrapped := make([]string, len(cells))
	for i, c := range cells {
		wrapped[i] = strings.Join(wrap(c, widths[i]), "\n")
	}
	return wrapped
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
