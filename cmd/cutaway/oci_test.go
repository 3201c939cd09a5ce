package main

import (
	"strings"
	"testing"
)

// The runtime is reached by way of main too: under another name than cutaway, as
// here, or with options of the program before the verb.
func TestOCIByWayOfMain(t *testing.T) {
	s := newSession(t)
	for line, want := range map[string]struct {
		code int
		says string
	}{
		"oci --root nowhere state x":           {1, "runc state failed: container does not exist: x"},
		"--lang zh --root nowhere oci state x": {1, "runc state failed: container does not exist: x"},
		"--root /dev/null/x oci list":          {1, "not a directory"},
		"oci list --bogus":                     {2, "-bogus"},
		"oci --version":                        {0, "\nspec: 1."},
		"oci -v":                               {0, "cutaway version "},
		"oci -version=true":                    {0, "cutaway version "},
		"oci run --help":                       {0, "cutaway oci run"},
		"help oci":                             {0, "cutaway oci [options] VERB"},
		"--help":                               {0, "  oci  "},
		"__complete oci ":                      {0, "update\t"},
		"__complete oci run --":                {0, "--bundle\t"},
	} {
		got := s.run(strings.Split(line, " ")...)
		if got.code != want.code || !strings.Contains(got.stdout+got.stderr, want.says) {
			t.Errorf("cutaway %s = %d, %s%s; want %d and %q", line, got.code, got.stdout, got.stderr, want.code, want.says)
		}
	}
}
