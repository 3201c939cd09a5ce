package launch

import (
	"strings"
	"testing"
)

// TestWillRun: a shim for nothing costs some milliseconds; a line that runs a
// container and is not seen costs them too.
func TestWillRun(t *testing.T) {
	for line, want := range map[string]bool{
		"cutaway run box":                           true,
		"/usr/bin/cutaway run box":                  true,
		"cutaway container run box":                 true,
		"cutaway --root /r --run-dir=/d run box ps": true,
		"cutaway --root run ps":                     false,
		"cutaway --host unix:///s run box":          false,
		"cutaway --host=unix:///s run box":          false,
		"cutaway --help run":                        false,
		"cutaway start run":                         false,
		"cutaway oci run x":                         false,
		"cutaway --root":                            false,
		"cutaway container":                         false,
		"cutaway":                                   false,
		"cutaway-shim run 3":                        false,
		"run box":                                   false,
	} {
		if got := willRun(strings.Fields(line), ""); got != want {
			t.Errorf("willRun(%s) = %v; want %v", line, got, want)
		}
	}
	if willRun([]string{"cutaway", "run", "box"}, "unix:///s") {
		t.Error("a daemon's client starts a shim of its own")
	}
}
