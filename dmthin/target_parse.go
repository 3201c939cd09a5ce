package dmthin

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// ParseTarget reads a table line's parameters back into the target that they came
// from. Targets that this package does not write are refused with EOPNOTSUPP, bad
// parameters with EINVAL.
func ParseTarget(l Line) (Target, error) {
	parse, ok := targetParsers()[l.Target]
	if !ok {
		return nil, fmt.Errorf("target %q is not known here: %w", l.Target, unix.EOPNOTSUPP)
	}
	w := words{rest: strings.Fields(l.Params)}
	t := parse(&w)
	if len(w.rest) > 0 && w.err == nil {
		w.err = fmt.Errorf("%q is too much: %w", w.rest, unix.EINVAL)
	}
	if w.err != nil {
		return nil, fmt.Errorf("target %s, parameters %q: %w", l.Target, l.Params, w.err)
	}
	return t, nil
}

var targetParsers = sync.OnceValue(func() map[string]func(*words) Target {
	return map[string]func(*words) Target{
		"linear":          func(w *words) Target { return w.linear() },
		"error":           func(*words) Target { return Fail{} },
		"zero":            func(*words) Target { return Zero{} },
		"flakey":          parseFlakey,
		"snapshot-origin": func(w *words) Target { return SnapshotOrigin{w.word()} },
		"snapshot":        parseSnapshot,
		"thin-pool":       parseThinPool,
		"thin":            parseThin,
	}
})

func parseFlakey(w *words) Target {
	f := Flakey{Linear: w.linear(), Up: uint(w.number(32)), Down: uint(w.number(32))}
	f.Features = w.counted()
	return f
}

func parseSnapshot(w *words) Target {
	s := Snapshot{Origin: w.word(), COW: w.word()}
	kind := w.word()
	// "PO" is persistent with the word on overflow.
	s.Persistent = strings.HasPrefix(kind, "P")
	if w.err == nil && kind != "P" && kind != "PO" && kind != "N" {
		w.err = fmt.Errorf("%q is neither P nor N: %w", kind, unix.EINVAL)
	}
	s.ChunkSectors = w.number(64)
	return s
}

func parseThinPool(w *words) Target {
	p := ThinPool{Metadata: w.word(), Data: w.word(), BlockSectors: w.number(32), LowWater: w.number(64)}
	known := map[string]*bool{}
	for _, f := range p.Features.words() {
		known[f.word] = f.set
	}
	for _, word := range w.counted() {
		set, ok := known[word]
		if !ok {
			w.err = fmt.Errorf("feature %q: %w", word, unix.EINVAL)
			break
		}
		*set = true
	}
	return p
}

func parseThin(w *words) Target {
	t := Thin{Pool: w.word(), ID: uint32(w.number(24))}
	if len(w.rest) > 0 {
		t.External = w.word()
	}
	return t
}

// words takes a line apart from the left and keeps the first error.
type words struct {
	rest []string
	err  error
}

func (w *words) word() string {
	if len(w.rest) == 0 {
		if w.err == nil {
			w.err = fmt.Errorf("too short: %w", unix.EINVAL)
		}
		return ""
	}
	first := w.rest[0]
	w.rest = w.rest[1:]
	return first
}

func (w *words) number(bits int) uint64 {
	s := w.word()
	n, err := strconv.ParseUint(s, 10, bits)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("%q is no number of %d bits: %w", s, bits, unix.EINVAL)
	}
	return n
}

func (w *words) linear() Linear { return Linear{Device: w.word(), Offset: w.number(64)} }

func (w *words) counted() []string {
	list, err := parseCounted(w.rest)
	if w.err == nil {
		w.err = err
	}
	w.rest = nil
	return list
}
