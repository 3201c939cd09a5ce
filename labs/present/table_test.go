package present

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	heads := []string{"fact", "值值", "read from"}
	rows := [][]string{
		{"a", "b", "c"},
		{"", "\x1b[31mred\x1b[0m x", "/proc/self/mountinfo has a long line of text, 中文"},
		{"two\nlines", "x ", "  lead"},
	}
	for _, c := range []struct {
		name  string
		style Style
		rows  [][]string
		want  string
	}{
		{"boxes, wrapped", Style{Boxes: true, Width: 44}, rows, `
┌───────┬───────┬──────────────────────┐
│ fact  │ 值值  │ read from            │
├───────┼───────┼──────────────────────┤
│ a     │ b     │ c                    │
│       │ RED x │ /proc/self/mountinfo │
│       │       │ has a long line of   │
│       │       │ text, 中文           │
│ two   │ x     │   lead               │
│ lines │       │                      │
└───────┴───────┴──────────────────────┘
`},
		{"plain, whole lines", Style{}, rows[:2], `
 fact  值值   read from                                          
 a     b      c                                                  
       RED x  /proc/self/mountinfo has a long line of text, 中文 
`},
		{"no rows", Style{Boxes: true}, nil, `
┌──────┬──────┬───────────┐
│ fact │ 值值 │ read from │
└──────┴──────┴───────────┘
`},
	} {
		var out strings.Builder
		c.style.Table(&out, heads, c.rows)
		got := "\n" + strings.ReplaceAll(out.String(), "\x1b[31mred\x1b[0m", "RED")
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: Table (-want +got):\n%s", c.name, diff)
		}
	}
}
