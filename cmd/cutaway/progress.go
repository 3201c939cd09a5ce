package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"

	"cutaway/unionfs/image"
	"cutaway/unionfs/image/registry"
)

// layerProgress shows what happens to each layer. On a terminal every layer has a
// line that is written over; elsewhere every change of state is a line.
type layerProgress struct {
	w        io.Writer
	terminal bool
	lines    []digest.Digest // layers in the order in which they came up
	states   map[digest.Digest]registry.State
}

func newLayerProgress(w io.Writer) *layerProgress {
	return &layerProgress{w: w, terminal: isTerminal(w), states: map[digest.Digest]registry.State{}}
}

// report is called from one goroutine at a time.
func (l *layerProgress) report(p registry.Progress) {
	old, known := l.states[p.Layer]
	if !known {
		l.lines = append(l.lines, p.Layer)
	}
	l.states[p.Layer] = p.State
	switch {
	case l.terminal:
		l.overwrite(p, known)
	case old != p.State && p.State != registry.Downloading && p.State != registry.Extracting:
		fmt.Fprintln(l.w, layerLine(p))
	}
}

// overwrite goes up to the layer's line, writes it anew, and comes back down.
func (l *layerProgress) overwrite(p registry.Progress, known bool) {
	if !known {
		fmt.Fprintln(l.w, layerLine(p))
		return
	}
	up := len(l.lines)
	for i, layer := range l.lines {
		if layer == p.Layer {
			up -= i
		}
	}
	fmt.Fprintf(l.w, "\x1b[%dA\r\x1b[K%s\r\x1b[%dB", up, layerLine(p), up)
}

func layerLine(p registry.Progress) string {
	state := string(p.State)
	if p.State == registry.Waiting {
		state = "Pulling fs layer"
	}
	line := shortID(p.Layer) + ": " + state
	if (p.State == registry.Downloading || p.State == registry.Pushing) && p.Total > 0 {
		line += fmt.Sprintf(" [%s] %8s/%s", bar(p.Current, p.Total), image.HumanSize(p.Current), image.HumanSize(p.Total))
	}
	return line
}

// barWidth is Docker's.
const barWidth = 50

func bar(current, total int64) string {
	done := int(min(current, total) * barWidth / total)
	head := ">"
	if done == barWidth {
		head = ""
	}
	line := strings.Repeat("=", done) + head
	return line + strings.Repeat(" ", barWidth-len(line))
}
