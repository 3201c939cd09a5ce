package main

import (
	"strings"
	"testing"
)

// TestInspectNames: fields go by their names in Go and by those of the JSON.
func TestInspectNames(t *testing.T) {
	object := struct {
		ID    string `json:"Id"`
		Size  int64
		State struct{ Pid int }
	}{ID: "abc", Size: 12345678901}
	for format, want := range map[string]string{
		"{{.ID}}":                 "abc\n",
		"{{.Id}} {{.Size}}":       "abc 12345678901\n",
		`{{.State.Pid}}\t{{.Id}}`: "0\tabc\n",
		"x{{json .State}}":        "x{\"Pid\":0}\n",
	} {
		var out strings.Builder
		if err := printInspect(&out, format, []any{object}); err != nil || out.String() != want {
			t.Errorf("inspect -f %q printed %q, %v; want %q", format, out.String(), err, want)
		}
	}
	var out strings.Builder
	err := printInspect(&out, "x{{.Nosuch}}", []any{object})
	if err == nil || !strings.Contains(err.Error(), `map has no entry for key "Nosuch"`) || out.String() != "\n" {
		t.Errorf("inspect of an unknown field printed %q, %v; want an empty line, as Docker has it, and an error that names it", out.String(), err)
	}
}
