package present

import (
	"strings"
	"testing"

	"cutaway/assets"
	"cutaway/internal/evidence"
	"cutaway/labs/lesson"
	"cutaway/labs/walk"
)

// Plain output has no box-drawing characters; a terminal gets them. Neither
// wraps a line.
func TestDrawing(t *testing.T) {
	words, err := lesson.NewWords(assets.Files, "en")
	if err != nil {
		t.Fatal(err)
	}
	wide := strings.Repeat("-", 150)
	event := walk.DrawingEvent{Lab: "25", Drawing: evidence.Drawing{Title: "t", From: "ip link", Lines: []string{"┌─┐"}, Plain: []string{"+-+", wide}}}
	for boxes, want := range map[bool]string{true: "    ┌─┐\n", false: "    +-+\n    " + wide + "\n"} {
		var out strings.Builder
		(&Text{Out: &out, Words: words, Style: Style{Boxes: boxes, Width: 80}}).Event(event, nil)
		if !strings.Contains(out.String(), want) {
			t.Errorf("boxes %v: got %q; want %q in it", boxes, out.String(), want)
		}
	}
}
