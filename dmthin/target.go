package dmthin

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Target is what a table line asks for. Devices are paths or "major:minor".
type Target interface {
	// Target is the kernel's name for it.
	Target() string
	// Params is the rest of the line.
	Params() string
}

// LineOf makes a table line; start and length in sectors.
func LineOf(start, length uint64, t Target) Line {
	return Line{start, length, t.Target(), t.Params()}
}

// One makes the table of a device with one target.
func One(length uint64, t Target) Table { return Table{LineOf(0, length, t)} }

// Linear is another device from a sector on (linear.rst).
type Linear struct {
	Device string
	Offset uint64
}

// Target is "linear".
func (Linear) Target() string { return "linear" }

// Params is "DEVICE OFFSET".
func (l Linear) Params() string { return fmt.Sprintf("%s %d", l.Device, l.Offset) }

// Fail answers all IO with EIO: the target "error".
type Fail struct{}

// Target is "error".
func (Fail) Target() string { return "error" }

// Params is empty.
func (Fail) Params() string { return "" }

// Zero reads as zeros and forgets what is written (zero.rst).
type Zero struct{}

// Target is "zero".
func (Zero) Target() string { return "zero" }

// Params is empty.
func (Zero) Params() string { return "" }

// Flakey is linear for Up seconds, then broken for Down seconds, and so on
// (dm-flakey.rst). Broken means EIO, or what Features say, such as "drop_writes".
type Flakey struct {
	Linear
	Up, Down uint
	Features []string
}

// Target is "flakey".
func (Flakey) Target() string { return "flakey" }

// Params is "DEVICE OFFSET UP DOWN [COUNT FEATURE...]".
func (f Flakey) Params() string {
	return fmt.Sprintf("%s %d %d", f.Linear.Params(), f.Up, f.Down) + counted(f.Features)
}

// SnapshotOrigin is a device under its old-style snapshots: before a write, what
// is there goes to each of them (snapshot.rst).
type SnapshotOrigin struct{ Device string }

// Target is "snapshot-origin".
func (SnapshotOrigin) Target() string { return "snapshot-origin" }

// Params is "DEVICE".
func (s SnapshotOrigin) Params() string { return s.Device }

// Snapshot is an old-style snapshot: the origin, but for the chunks that are in the
// COW device (snapshot.rst). Persistent keeps the chunk list on the COW device.
type Snapshot struct {
	Origin, COW  string
	Persistent   bool
	ChunkSectors uint64
}

// Target is "snapshot".
func (Snapshot) Target() string { return "snapshot" }

// Params is "ORIGIN COW P|N CHUNK".
func (s Snapshot) Params() string {
	kind := "N"
	if s.Persistent {
		kind = "P"
	}
	return fmt.Sprintf("%s %s %s %d", s.Origin, s.COW, kind, s.ChunkSectors)
}

// counted writes optional words as the kernel wants them: how many, then each.
func counted(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return " " + strconv.Itoa(len(words)) + " " + strings.Join(words, " ")
}

// parseCounted reads them back; f is what is left of the line.
func parseCounted(f []string) ([]string, error) {
	if len(f) == 0 || len(f) == 1 && f[0] == "0" {
		return nil, nil
	}
	n, err := strconv.Atoi(f[0])
	if err != nil || n != len(f)-1 {
		return nil, fmt.Errorf("%q: a count and as many words: %w", f, unix.EINVAL)
	}
	return f[1:], nil
}
