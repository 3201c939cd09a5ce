package main

import (
	"strings"
	"testing"
)

// A command that is made under another name than its own would never be found.
func TestVerbsAreMadeUnderTheirNames(t *testing.T) {
	p := &program{}
	seen := map[string]bool{}
	for _, v := range p.verbs() {
		if got := v.make().Name(); got != v.name || seen[v.name] {
			t.Errorf("verb %q makes the command %q (seen before: %v)", v.name, got, seen[v.name])
		}
		seen[v.name] = true
	}
}

func TestWantedVerbs(t *testing.T) {
	p := &program{}
	for line, want := range map[string]string{
		"run --rm box true": "run",
		"--root /x ps -a":   "ps",
		"run box ps":        "run ps",
		"oci run x":         "run oci",
	} {
		var names []string
		for _, v := range wanted(p.verbs(), strings.Fields(line)) {
			names = append(names, v.name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("wanted(%q) = %s; want %s", line, got, want)
		}
	}
	for _, line := range []string{"", "--help", "help run", "rnu box"} {
		if got := wanted(p.verbs(), strings.Fields(line)); len(got) != len(p.verbs()) {
			t.Errorf("wanted(%q) are %d verbs; want all", line, len(got))
		}
	}
}
