// Package contract is the one test suite that every layer driver must pass.
//
// The judge is a plain directory. Each step of a story (see story.go) is done
// twice, by the same Go function: once in a plain folder, and once in a new
// layer of the driver under test. The two trees must then be equal in
// everything that a program can see. The layer's tar, applied elsewhere, must
// give that tree once more; and the list of changes must be what a comparison
// of two plain folders finds.
//
//	story step ----> plain folder  --------------- scan ---\
//	            \                                           equal?
//	             \-> layer n, mounted ------------ scan ---/
//	                   | Diff -> tar -> Apply ---- scan --/
//
// A driver's test file is short:
//
//	func TestMain(m *testing.M) { contract.Main(m, open) }
//	func TestContract(t *testing.T) { contract.Run(t, contract.Case{Open: open}) }
package contract

import (
	"testing"

	"cutaway/unionfs"
)

// OpenFunc opens the driver on a home folder; it is called again and again, and
// in other processes, on one home.
type OpenFunc func(home string) (unionfs.Driver, error)

// A Case is one driver with what is particular about it.
type Case struct {
	Open OpenFunc
	// Home makes an empty home; nil for a temporary folder.
	Home func(t *testing.T) string
	// Depth is how many layers the deep stack gets, 0 for 16.
	Depth int
	// TooDeep is the first depth that Create must refuse, 0 for none.
	TooDeep int
	// Residue names what is left in an empty home that should not be; nil for
	// a driver whose List says all.
	Residue func(home string) ([]string, error)
	// Lacks names what this file system cannot keep, with the reason: "xattr",
	// "device", "owner" (all ids but our own), "large-id", "nanoseconds".
	Lacks map[string]string
	// Slow shortens what repeats.
	Slow bool
}

// Run runs all of the suite.
func Run(t *testing.T, c Case) {
	if c.Home == nil {
		c.Home = func(t *testing.T) string { return TempDir(t) }
	}
	if c.Depth == 0 {
		c.Depth = 16
	}
	t.Run("Basics", c.basics)
	t.Run("Mounts", c.mounts)
	t.Run("Story", c.story)
	t.Run("Sparse", c.sparse)
	t.Run("Size", c.size)
	t.Run("Limit", c.limit)
	t.Run("Hostile", c.hostile)
	t.Run("Deep", c.deep)
	t.Run("Crash", c.crash)
}

// RunLimit runs the size limit's part alone, for file systems that are made for
// it. There a limit that is not supported is a failure of the machine's promise,
// which the caller has looked at.
func RunLimit(t *testing.T, c Case) { t.Run("Limit", c.limit) }

// open opens the driver on a new home and checks at the end that nothing stays.
func (c Case) open(t *testing.T) (unionfs.Driver, string) {
	t.Helper()
	home := c.Home(t)
	d := c.reopen(t, home)
	t.Cleanup(func() { c.empty(t, d, home) })
	return d, home
}

func (c Case) reopen(t *testing.T, home string) unionfs.Driver {
	t.Helper()
	d, err := c.Open(home)
	if err != nil {
		t.Fatalf("Open(%s): %v", home, err)
	}
	return d
}

// empty removes all layers, the youngest first where the driver cares, and looks
// for what is left.
func (c Case) empty(t *testing.T, d unionfs.Driver, home string) {
	t.Helper()
	removeAll(t, d)
	if c.Residue != nil {
		left, err := c.Residue(home)
		if err != nil || len(left) > 0 {
			t.Errorf("after removing all layers: left %v, error %v; want nothing", left, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// removeAll tries again while something goes: a driver may refuse to remove a
// layer that others stand on, and List does not say which those are.
func removeAll(t *testing.T, d unionfs.Driver) {
	t.Helper()
	for {
		ids, err := d.List()
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		if len(ids) == 0 {
			return
		}
		removed, last := 0, error(nil)
		for _, id := range ids {
			if err := d.Remove(id); err != nil {
				last = err
				continue
			}
			removed++
		}
		if removed == 0 {
			t.Fatalf("Remove: %d layers left: %v", len(ids), last)
		}
	}
}
