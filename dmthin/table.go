package dmthin

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// SectorSize is the device mapper's unit, in bytes.
const SectorSize = 512

// Line is one line of a table, or of a status. Start and Length are in sectors.
type Line struct {
	Start, Length uint64
	Target        string // "linear", "thin", ...
	Params        string
}

// String is the form that dmsetup(8) takes: "0 2048 linear 7:0 0".
func (l Line) String() string {
	return strings.TrimRight(fmt.Sprintf("%d %d %s %s", l.Start, l.Length, l.Target, l.Params), " ")
}

// Table is the lines of a device, in order and without gaps.
type Table []Line

// String puts "; " between the lines; dmsetup takes them one a line.
func (t Table) String() string {
	lines := make([]string, len(t))
	for i, l := range t {
		lines[i] = l.String()
	}
	return strings.Join(lines, "; ")
}

// Length is the size of the device, in sectors.
func (t Table) Length() uint64 {
	if len(t) == 0 {
		return 0
	}
	return t[len(t)-1].Start + t[len(t)-1].Length
}

// Validate finds what the kernel answers with EINVAL and a line in its log. The
// errors are EINVAL, too.
func (t Table) Validate() error {
	if len(t) == 0 {
		return fmt.Errorf("a table without lines: %w", unix.EINVAL)
	}
	at := uint64(0)
	for i, l := range t {
		switch {
		case l.Start != at:
			return fmt.Errorf("line %d starts at sector %d, but the one before ends at %d: %w", i+1, l.Start, at, unix.EINVAL)
		case l.Length == 0 || at+l.Length < at:
			return fmt.Errorf("line %d has the impossible length %d: %w", i+1, l.Length, unix.EINVAL)
		case l.Target == "" || strings.ContainsAny(l.Target+l.Params, "\x00\n"):
			return fmt.Errorf("line %d: target %q, parameters %q: no target, or a NUL or newline: %w", i+1, l.Target, l.Params, unix.EINVAL)
		}
		at += l.Length
	}
	return nil
}

// ParseTable reads lines in dmsetup(8)'s form; empty lines and those that begin
// with # are skipped. The table is validated.
func ParseTable(r io.Reader) (Table, error) {
	var t Table
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		l, err := ParseLine(line)
		if err != nil {
			return nil, err
		}
		t = append(t, l)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return t, t.Validate()
}

// ParseLine reads one line: start, length, target, and the rest.
func ParseLine(line string) (Line, error) {
	f := strings.Fields(line)
	if len(f) < 3 {
		return Line{}, fmt.Errorf("table line %q: want START LENGTH TARGET [PARAMETERS]: %w", line, unix.EINVAL)
	}
	start, err1 := strconv.ParseUint(f[0], 10, 64)
	length, err2 := strconv.ParseUint(f[1], 10, 64)
	if err1 != nil || err2 != nil {
		return Line{}, fmt.Errorf("table line %q: start and length are numbers of sectors: %w", line, unix.EINVAL)
	}
	return Line{start, length, f[2], strings.Join(f[3:], " ")}, nil
}
