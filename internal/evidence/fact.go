package evidence

import "strings"

// Absent is the value of a fact whose subject does not exist (yet): no such
// file, no such process, no such mount.
const Absent = "absent"

// Fact is one thing that was read from the kernel.
type Fact struct {
	// Name says what was read, e.g. "mnt namespace" or "upper/big".
	Name string
	// From says where, so that a person can read it again:
	// "readlink /proc/4711/ns/mnt", "stat(2) upper/big".
	From string
	// Values has one entry for each column of the view that it belongs to:
	// one for an ordinary view, several where places are compared side by side.
	Values []string
}

// F is a fact with one value for each column.
func F(name, from string, values ...string) Fact {
	return Fact{Name: name, From: from, Values: values}
}

// Value is all columns joined, which is the value itself for a fact of one column.
func (f Fact) Value() string { return strings.Join(f.Values, " | ") }

// Facts are what one reading of all views of a step found, by name.
type Facts map[string]Fact

// Add files facts under their names. Two facts of one reading that share a
// name would hide each other, so the later one wins and a test of the labs
// forbids it.
func (fs Facts) Add(facts ...Fact) {
	for _, f := range facts {
		fs[f.Name] = f
	}
}

// Value is the value of the named fact in its first column, or Absent.
func (fs Facts) Value(name string) string { return fs.Column(name, 0) }

// Column is the value of the named fact in column i, or Absent.
func (fs Facts) Column(name string, i int) string {
	f, ok := fs[name]
	if !ok || i >= len(f.Values) {
		return Absent
	}
	return f.Values[i]
}
