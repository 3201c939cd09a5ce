package labs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
	"cutaway/nsdemo"
)

// drawChain draws the processes of the chain below those that they descend from.
func drawChain(_ context.Context, b *bench.Bench) (evidence.Drawing, error) {
	is, below := map[int]string{}, map[int][]int{}
	for name, pid := range chain(b) {
		if pid == 0 {
			continue
		}
		is[pid] = name
		for pid != 0 { // 0: outside this pid namespace
			s, err := nsdemo.ReadStatus("/proc", pid)
			if err != nil {
				return evidence.Drawing{}, err
			}
			if slices.Contains(below[s.PPid], pid) {
				break
			}
			below[s.PPid] = append(below[s.PPid], pid)
			pid = s.PPid
		}
	}
	d := evidence.Drawing{Title: "the tree of processes", From: "PPid in /proc/PID/status"}
	branch(below, is, 0, "", &d.Lines)
	plain := strings.NewReplacer("├─", "|-", "└─", "`-", "│", "|", "◀", "<")
	for _, line := range d.Lines {
		d.Plain = append(d.Plain, plain.Replace(line))
	}
	return d, nil
}

// branch writes the children of a process, each with its own below it.
func branch(below map[int][]int, is map[int]string, pid int, indent string, lines *[]string) {
	children := below[pid]
	slices.Sort(children)
	for i, child := range children {
		mark, deeper := "├─ ", "│  "
		if i == len(children)-1 {
			mark, deeper = "└─ ", "   "
		}
		line := fmt.Sprintf("%s%s%d %s", indent, mark, child, programOf(child))
		if is[child] != "" {
			line += "  ◀ " + is[child]
		}
		*lines = append(*lines, line)
		branch(below, is, child, indent+deeper, lines)
	}
}
