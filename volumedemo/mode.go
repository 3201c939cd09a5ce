package volumedemo

import (
	"slices"
	"strings"
)

// The third part of -v is a list of words, at most one of each kind.
var (
	propagations = []string{"private", "rprivate", "shared", "rshared", "slave", "rslave"}
	accesses     = []string{"ro", "rw"}
	labelings    = []string{"z", "Z"}                            // SELinux: shared or private label
	consistency  = []string{"consistent", "cached", "delegated"} // Docker Desktop's; no effect on Linux
	copying      = []string{"nocopy"}
)

func words(list []string) string { return strings.Join(slices.Sorted(slices.Values(list)), ", ") }

// mode is what the words say.
type mode struct {
	readOnly, noCopy bool
	propagation      string
}

// parseMode reads the words. Two of one kind contradict or repeat each other,
// and either way somebody meant something else.
func parseMode(text string) (mode, error) {
	var m mode
	seen := map[int]string{}
	for word := range strings.SplitSeq(text, ",") {
		kind := slices.IndexFunc(modeKinds(), func(k []string) bool { return slices.Contains(k, word) })
		if kind < 0 {
			return m, invalid("invalid mode: %s: %q is none of ro, rw, nocopy, z, Z, %s", text, word, words(propagations))
		}
		if seen[kind] != "" {
			return m, invalid("invalid mode: %s: %s and %s cannot both be meant", text, seen[kind], word)
		}
		seen[kind] = word
		m.readOnly = m.readOnly || word == "ro"
		m.noCopy = m.noCopy || word == "nocopy"
		if slices.Contains(propagations, word) {
			m.propagation = word
		}
	}
	return m, nil
}

func modeKinds() [][]string {
	return [][]string{accesses, propagations, labelings, consistency, copying}
}

// isMode tells whether a text is such a list, as in the mistake -v /path:ro.
func isMode(text string) bool {
	_, err := parseMode(text)
	return err == nil
}
