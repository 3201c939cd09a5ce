package netdemo

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Drawing says how to draw.
type Drawing struct {
	ASCII bool // + - | only, for terminals and logs without box-drawing characters
	Width int  // columns; 0 is 100
}

// pen is the characters to draw with.
type pen struct{ h, v, tl, tr, bl, br, down, up, broken string }

func (d Drawing) pen() pen {
	if d.ASCII {
		return pen{"-", "|", "+", "+", "+", "+", "+", "+", "x"}
	}
	return pen{"─", "│", "┌", "┐", "└", "┘", "┬", "┴", "╳"}
}

// RenderTopology draws each bridge as a box with what hangs on its ports above it, then each link
// that is on no bridge, then the namespaces that nothing leads to:
//
//	┌────────────────────┐  ┌────────────────────┐
//	│ web                │  │ db                 │
//	│ eth0 172.18.0.2/16 │  │ eth0 172.18.0.3/16 │
//	└─────────┬──────────┘  └─────────┬──────────┘
//	     veth1a2b3c4             veth5d6e7f8
//	┌─────────┴───────────────────────┴──────────┐
//	│ host: br-front 172.18.0.1/16               │
//	└────────────────────────────────────────────┘
//	host: uplink 203.0.113.1/24 ── eth0 203.0.113.2/24 :outside
//
// A port that is down has a cross in place of its name's line.
func RenderTopology(t Topology, d Drawing) string {
	if d.Width == 0 {
		d.Width = 100
	}
	var b strings.Builder
	drawn := map[string]bool{}
	for _, n := range t.Namespaces {
		for _, l := range n.Links {
			if l.Kind == "bridge" {
				renderBridge(&b, t, n, l, d, drawn)
			}
		}
	}
	renderWires(&b, t, d, drawn)
	for _, n := range t.Namespaces {
		if !drawn[n.Name] {
			for _, line := range box(append([]string{n.Name}, linkLines(n)...), 0, d.pen()) {
				fmt.Fprintln(&b, line)
			}
		}
	}
	return b.String()
}

// plug is what hangs on one port: a box, and the port's name under it.
type plug struct {
	lines []string
	port  TopologyLink
}

func renderBridge(b *strings.Builder, t Topology, n TopologyNamespace, bridge TopologyLink, d Drawing, drawn map[string]bool) {
	drawn[n.Name] = true
	p := d.pen()
	var plugs []plug
	for _, l := range n.Links {
		if l.Master != bridge.Name {
			continue
		}
		plugs = append(plugs, plugOf(t, l))
		drawn[l.PeerNS] = true
	}
	shown, row := fitting(plugs, d.Width, p)
	for _, line := range row.lines {
		fmt.Fprintln(b, strings.TrimRight(line, " "))
	}
	title := fmt.Sprintf("%s: %s", n.Name, linkText(bridge))
	if hidden := len(plugs) - shown; hidden > 0 {
		title += fmt.Sprintf("  and %d more ports", hidden)
	}
	lines := box([]string{title}, row.width, p)
	lines[0] = withMarks(lines[0], row.marks, p.up)
	for _, line := range lines {
		fmt.Fprintln(b, line)
	}
}

func plugOf(t Topology, port TopologyLink) plug {
	if n, ok := t.namespace(port.PeerNS); ok {
		return plug{append([]string{n.Name}, linkLines(n)...), port}
	}
	text := "(" + port.Kind + ")"
	if port.Note != "" {
		text = port.Kind + " " + port.Note
	}
	return plug{[]string{text}, port}
}

// linkLines lists a namespace's links but lo; a namespace without any says so.
func linkLines(n TopologyNamespace) (lines []string) {
	for _, l := range n.Links {
		if l.Name != "lo" {
			lines = append(lines, linkText(l))
		}
	}
	if lines == nil {
		lines = []string{"only lo"}
	}
	return lines
}

func linkText(l TopologyLink) string {
	text := strings.Join(append([]string{l.Name}, l.Addresses...), " ")
	if !l.Up {
		text += " DOWN"
	}
	if l.MTU != 1500 {
		text += fmt.Sprintf(" mtu %d", l.MTU)
	}
	return text
}

// rowOf is boxes side by side: their text lines, and the columns where they meet the bridge.
type rowOf struct {
	lines []string
	marks []int
	width int
}

// fitting draws as many plugs as the width takes.
func fitting(plugs []plug, width int, p pen) (shown int, row rowOf) {
	height := 0
	for _, g := range plugs {
		height = max(height, len(g.lines))
	}
	row.lines = make([]string, height+3)
	for _, g := range plugs {
		part := drawPlug(g, height, p)
		size := utf8.RuneCountInString(part[0])
		if shown > 0 && row.width+2+size > width {
			break
		}
		gap := ""
		if shown > 0 {
			gap = "  "
		}
		row.marks = append(row.marks, row.width+len(gap)+size/2)
		for i := range row.lines {
			row.lines[i] += gap + part[i]
		}
		row.width += len(gap) + size
		shown++
	}
	if shown == 0 {
		row.lines = nil
	}
	return shown, row
}

// drawPlug draws the box, as high as the highest of its row, and the port's name below its middle.
func drawPlug(g plug, height int, p pen) []string {
	lines := append([]string(nil), g.lines...)
	for len(lines) < height {
		lines = append(lines, "")
	}
	drawn := box(lines, utf8.RuneCountInString(g.port.Name)+4, p)
	size := utf8.RuneCountInString(drawn[0])
	last := len(drawn) - 1
	drawn[last] = withMarks(drawn[last], []int{size / 2}, p.down)
	label := g.port.Name
	if !g.port.Up {
		label = p.broken + " " + label + " " + p.broken
	}
	left := max(0, size/2-utf8.RuneCountInString(label)/2)
	return append(drawn, pad(strings.Repeat(" ", left)+label, size))
}

// box draws a frame around lines, at least width columns wide.
func box(lines []string, width int, p pen) []string {
	inner := width - 4
	for _, l := range lines {
		inner = max(inner, utf8.RuneCountInString(l))
	}
	out := []string{p.tl + strings.Repeat(p.h, inner+2) + p.tr}
	for _, l := range lines {
		out = append(out, p.v+" "+pad(l, inner)+" "+p.v)
	}
	return append(out, p.bl+strings.Repeat(p.h, inner+2)+p.br)
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func withMarks(line string, columns []int, mark string) string {
	runes := []rune(line)
	for _, c := range columns {
		if c < len(runes) {
			runes[c] = []rune(mark)[0]
		}
	}
	return string(runes)
}

// renderWires lists the veth pairs that end on no bridge on either side, each once.
func renderWires(b *strings.Builder, t Topology, d Drawing, drawn map[string]bool) {
	seen := map[string]bool{}
	for _, n := range t.Namespaces {
		for _, l := range n.Links {
			far, ok := t.namespace(l.PeerNS)
			if !ok || l.Master != "" || seen[far.Name+"/"+l.Peer] {
				continue
			}
			other, _ := far.link(l.Peer)
			if other.Master != "" {
				continue
			}
			seen[n.Name+"/"+l.Name] = true
			drawn[n.Name], drawn[far.Name] = true, true
			wire := strings.Repeat(d.pen().h, 2)
			if !l.Up || !other.Up {
				wire = d.pen().broken
			}
			fmt.Fprintf(b, "%s: %s %s %s :%s\n", n.Name, linkText(l), wire, linkText(other), far.Name)
		}
	}
}
