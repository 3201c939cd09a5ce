package probe

// ID names a probe for scripts and labs: dotted, lower case, stable.
type ID string

// Privilege is the least a live probe needs to give an answer.
type Privilege string

const (
	AnyUser   Privilege = "U" // any user
	Namespace Privilege = "N" // root, or any user inside a user namespace of their own
	Root      Privilege = "R" // root of the machine
)

// A Probe is one row of the table: what to ask, and what to tell a person
// about the answer. Texts are English constants; they are the keys of the
// translation catalogue.
type Probe struct {
	ID        ID
	Group     string
	Title     string
	Since     string   // first kernel release, "" when older than anyone runs
	Symbols   []string // CONFIG names, all wanted; "A|B" accepts either
	Modules   []string // modules that the live probe could make the kernel load
	Effect    string   // what fails without it
	Fix       string   // one line to paste
	Privilege Privilege
	Live      string // name of the function that asks the kernel
	place     place  // where that function runs
}

// All returns the table, in the order it is shown in.
func All() []Probe {
	var table []Probe
	for _, part := range [][]Probe{} {
		table = append(table, part...)
	}
	return table
}

// Find returns the row with that id.
func Find(id ID) (Probe, bool) {
	for _, p := range All() {
		if p.ID == id {
			return p, true
		}
	}
	return Probe{}, false
}
