package present

import (
	"fmt"
	"math"
	"strings"

	"cutaway/internal/evidence"
)

const (
	plotHeight = 12
	plotMargin = 9 // cells for the numbers of the vertical axis
)

// plot draws measurements as a grid of characters, with the same marks in
// colour and without.
func (s Style) plot(p evidence.Plot) []string {
	width := min(s.width()-plotMargin-4, 72)
	xmin, xmax, ymax := bounds(p)
	grid := make([][]rune, plotHeight)
	for i := range grid {
		grid[i] = []rune(strings.Repeat(" ", width))
	}
	column := func(x float64) int { return int(math.Round((x - xmin) / (xmax - xmin) * float64(width-1))) }
	for _, m := range p.Marks {
		for row := range grid {
			grid[row][column(m.X)] = '|'
		}
	}
	for i, line := range p.Lines {
		for _, pt := range line.Points {
			row := plotHeight - 1 - int(math.Round(pt[1]/ymax*(plotHeight-1)))
			grid[row][column(pt[0])] = plotMark(i)
		}
	}
	return s.frame(p, grid, xmin, xmax, ymax)
}

func plotMark(i int) rune { return []rune("*o+x#@")[i%6] }

// bounds are the ranges of the axes. The vertical one starts at 0, so that
// half looks like half.
func bounds(p evidence.Plot) (xmin, xmax, ymax float64) {
	xmin, xmax = math.Inf(1), math.Inf(-1)
	for _, line := range p.Lines {
		for _, pt := range line.Points {
			xmin, xmax, ymax = min(xmin, pt[0]), max(xmax, pt[0]), max(ymax, pt[1])
		}
	}
	for _, m := range p.Marks {
		xmin, xmax = min(xmin, m.X), max(xmax, m.X)
	}
	if !(xmax > xmin) {
		xmin, xmax = 0, 1
	}
	if ymax == 0 {
		ymax = 1
	}
	return xmin, xmax, ymax * 1.05
}

func (s Style) frame(p evidence.Plot, grid [][]rune, xmin, xmax, ymax float64) []string {
	corner, side, floor := "+", "|", "-"
	if s.Boxes {
		corner, side, floor = "└", "│", "─"
	}
	lines := []string{fmt.Sprintf("%s (%s)", p.Title, p.Y)}
	for i, row := range grid {
		label := ""
		if i%3 == 2 {
			label = fmt.Sprintf("%.4g", ymax*float64(plotHeight-1-i)/(plotHeight-1))
		}
		lines = append(lines, fmt.Sprintf("%*s %s%s", plotMargin-2, label, side, strings.TrimRight(string(row), " ")))
	}
	width := len(grid[0])
	lines = append(lines, strings.Repeat(" ", plotMargin-1)+corner+strings.Repeat(floor, width))
	left, right := fmt.Sprintf("%.3g", xmin), fmt.Sprintf("%.3g %s", xmax, p.X)
	lines = append(lines, strings.Repeat(" ", plotMargin)+left+strings.Repeat(" ", max(1, width-len(left)-len(right)))+right)
	for i, line := range p.Lines {
		lines = append(lines, fmt.Sprintf("%*c  %s", plotMargin, plotMark(i), line.Name))
	}
	for _, m := range p.Marks {
		lines = append(lines, fmt.Sprintf("%*s  %s (%.3g %s)", plotMargin, "|", m.Name, m.X, p.X))
	}
	return lines
}
