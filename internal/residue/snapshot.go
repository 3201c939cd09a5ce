package residue

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"cutaway/internal/journal"
)

// Snapshot is the state of the machine: a set of lines for each category.
type Snapshot map[string]map[string]bool

// Change is one line that a machine has more ("+") or less ("-") than before.
type Change struct {
	Sign, Category, Item string
}

func (c Change) String() string { return fmt.Sprintf("%s %s %s", c.Sign, c.Category, c.Item) }

// carries tells whether the item carries one of the marks.
func (c Change) carries(marks []string) bool {
	return slices.ContainsFunc(marks, func(m string) bool { return strings.Contains(c.Item, m) })
}

// readers of the categories. Each returns what it could read; a category that
// this user may not read is empty before and after alike.
func readers(folders []string) map[string]func() []string {
	// Looked for once: it takes two reads for every process of the machine.
	marked := sync.OnceValue(journal.AllMarked)
	return map[string]func() []string{
		"mount":     mounts,
		"link":      links,
		"cgroup":    cgroups,
		"loop":      loops,
		"dm":        mapped,
		"process":   func() []string { return processes(marked()) },
		"namespace": func() []string { return namespaces(marked()) },
		"firewall":  firewall,
		"sysctl":    sysctls,
		"file":      func() []string { return files(folders) },
	}
}

// Take reads the state of the machine now. Folders are cutaway's own, whose
// content must be gone afterwards.
// The categories are read side by side: the sysctls alone take as long as the rest.
func Take(folders ...string) Snapshot {
	s := Snapshot{}
	var all sync.WaitGroup
	for category, read := range readers(folders) {
		items := map[string]bool{}
		s[category] = items
		all.Go(func() {
			for _, item := range read() {
				items[item] = true
			}
		})
	}
	all.Wait()
	return s
}

// Diff lists what changed from before to after, in a stable order.
func Diff(before, after Snapshot) []Change {
	var changes []Change
	for _, category := range slices.Sorted(maps.Keys(after)) {
		changes = append(changes, missing("-", category, before[category], after[category])...)
		changes = append(changes, missing("+", category, after[category], before[category])...)
	}
	return slices.DeleteFunc(changes, func(c Change) bool {
		return c.Category == "sysctl" && (!hasSetting(before, c.Item) || !hasSetting(after, c.Item))
	})
}

// hasSetting tells whether there is a sysctl of that name, whatever its value. One
// that has come or gone did so with a kernel module: nobody has set anything.
func hasSetting(s Snapshot, item string) bool {
	name, _, _ := strings.Cut(item, " = ")
	for other := range s["sysctl"] {
		if strings.HasPrefix(other, name+" = ") {
			return true
		}
	}
	return false
}

func missing(sign, category string, from, in map[string]bool) []Change {
	var changes []Change
	for _, item := range slices.Sorted(maps.Keys(from)) {
		if !in[item] {
			changes = append(changes, Change{sign, category, item})
		}
	}
	return changes
}

// Split parts the changes that carry a mark of the run (its id, its folders)
// from those of others.
func Split(changes []Change, marks ...string) (ours, others []Change) {
	for _, c := range changes {
		if c.carries(marks) {
			ours = append(ours, c)
		} else {
			others = append(others, c)
		}
	}
	return ours, others
}
