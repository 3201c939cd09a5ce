package seccomp

import (
	"maps"
	"slices"
)

// Actions lists the actions that a spec may name, sorted.
func Actions() []string { return known(actions()) }

// Operators lists the comparisons of arguments, sorted.
func Operators() []string { return known(comparisons()) }

// Archs lists the architectures that have a table, sorted.
func Archs() []string { return known(architectures()) }

// Flags lists the flags for seccomp(2), sorted.
func Flags() []string { return known(flags()) }

func known[K ~string, V any](m map[K]V) []string {
	var names []string
	for k := range maps.Keys(m) {
		names = append(names, string(k))
	}
	slices.Sort(names)
	return names
}
