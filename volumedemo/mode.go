package volumedemo

import (
	"maps"
	"slices"
	"strings"
)

// The third part of -v is a list of words, at most one of each kind.
var (
	propagations = set("private", "rprivate", "shared", "rshared", "slave", "rslave")
	accesses     = set("ro", "rw")
	labelings    = set("z", "Z")                            // SELinux: shared or private label
	consistency  = set("consistent", "cached", "delegated") // Docker Desktop's; no effect on Linux
	copying      = set("nocopy")
)

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

func words(m map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }

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
		kind := slices.IndexFunc(modeKinds, func(k map[string]bool) bool { return k[word] })
		if kind < 0 {
			return m, invalid("invalid mode: %s: %q is none of ro, rw, nocopy, z, Z, %s", text, word, words(propagations))
		}
		if seen[kind] != "" {
			return m, invalid("invalid mode: %s: %s and %s cannot both be meant", text, seen[kind], word)
		}
		seen[kind] = word
		m.readOnly = m.readOnly || word == "ro"
		m.noCopy = m.noCopy || word == "nocopy"
		if propagations[word] {
			m.propagation = word
		}
	}
	return m, nil
}

var modeKinds = []map[string]bool{accesses, propagations, labelings, consistency, copying}

// isMode tells whether a text is such a list, as in the mistake -v /path:ro.
func isMode(text string) bool {
	_, err := parseMode(text)
	return err == nil
}
