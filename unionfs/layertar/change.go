package layertar

import (
	"slices"
	"strings"
)

// Kind is what happened to a path, in the letters of `docker diff`.
type Kind byte

const (
	Added   Kind = 'A'
	Changed Kind = 'C'
	Deleted Kind = 'D'
)

func (k Kind) String() string { return string(k) }

// A Change is one path that a layer has other than its parent. Path is absolute
// as seen from inside the layer, such as "/etc/hosts".
type Change struct {
	Kind Kind
	Path string
}

func (c Change) String() string { return string(c.Kind) + " " + c.Path }

// SortChanges orders by path, component by component, so that a folder stands
// right before what is in it ("/a", "/a/b", "/a-b").
func SortChanges(list []Change) {
	slices.SortFunc(list, func(a, b Change) int { return ComparePaths(a.Path, b.Path) })
}

// ComparePaths compares paths by their components: "/" sorts before everything.
func ComparePaths(a, b string) int {
	return strings.Compare(strings.ReplaceAll(a, "/", "\x00"), strings.ReplaceAll(b, "/", "\x00"))
}
