package cgroupdemo

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Reading is a value with the file it was read from, so that a person can read
// it again. Err is set, and Value zero, where the kernel has no such file or
// refused: that is a fact to be shown, not a reason to lose the other values.
type Reading[T any] struct {
	Value T
	Path  string
	Err   error
}

// Unlimited stands for "max" (version 2), -1 and version 1's huge number.
const Unlimited = uint64(math.MaxUint64)

// v1Unlimited is the smallest of the numbers that v1 shows for "no limit": the
// greatest int64 rounded down to a page, of at most 64 KiB.
const v1Unlimited = uint64(math.MaxInt64) &^ (64<<10 - 1)

// ReadText reads a control file as it is, without the newline at its end.
func ReadText(dir, file string) Reading[string] {
	path := filepath.Join(dir, file)
	text, err := os.ReadFile(path)
	return Reading[string]{strings.TrimRight(string(text), "\n"), path, err}
}

// ReadNumber reads a control file that holds one number or "max".
func ReadNumber(dir, file string) Reading[uint64] {
	return convert(ReadText(dir, file), parseNumber)
}

// ReadTable reads a flat keyed file: one "key value" a line (cgroup-v2.rst, "Format").
func ReadTable(dir, file string) Reading[map[string]uint64] {
	return convert(ReadText(dir, file), ParseTable)
}

// convert carries the path and an error over to the parsed value.
func convert[A, B any](r Reading[A], parse func(A) (B, error)) Reading[B] {
	out := Reading[B]{Path: r.Path, Err: r.Err}
	if r.Err != nil {
		return out
	}
	if out.Value, out.Err = parse(r.Value); out.Err != nil {
		out.Err = fmt.Errorf("%s: %w", r.Path, out.Err)
	}
	return out
}

// pick takes one key of a table; a missing key is an error that names it.
func pick(r Reading[map[string]uint64], key string) Reading[uint64] {
	return convert(r, func(m map[string]uint64) (uint64, error) {
		v, ok := m[key]
		if !ok {
			return 0, fmt.Errorf("no line %q: %w", key, os.ErrNotExist)
		}
		return v, nil
	})
}

func parseNumber(text string) (uint64, error) {
	text = strings.TrimSpace(text)
	if text == "max" || text == "-1" {
		return Unlimited, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err == nil && n >= v1Unlimited {
		return Unlimited, nil
	}
	return n, err
}

// ParseTable reads "key value" lines; a line of another shape is an error.
func ParseTable(text string) (map[string]uint64, error) {
	table := map[string]uint64{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		n, err := parseNumber(value)
		if !ok || err != nil {
			return nil, fmt.Errorf("line %q: want a key and a number", lines.Text())
		}
		table[key] = n
	}
	return table, lines.Err()
}
