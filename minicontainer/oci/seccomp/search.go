package seccomp

import (
	"slices"
)

// span is a run of neighbouring numbers that all get the same code: most system
// calls are allowed, and so a profile of 400 names is some 60 spans.
type span struct {
	first uint32 // up to the next span's
	code  code
}

// spans are written in order, without gaps.
type spans struct {
	list []span
	next uint32 // the first number that no span has yet
}

// upTo gives the code to all numbers from the last one on, below limit.
func (s *spans) upTo(limit uint32, c code) {
	if limit > s.next {
		s.last(c)
		s.next = limit
	}
}

// last gives the code to all numbers that are left.
func (s *spans) last(c code) {
	if n := len(s.list); n == 0 || !slices.Equal(s.list[n-1].code, c) {
		s.list = append(s.list, span{s.next, c})
	}
}

// answer is the code that always returns the same.
func answer(value uint32) code {
	var c code
	c.ret(value)
	return c
}

// search finds the span of the number in the accumulator by halves. One
// comparison after the other would be right too, but slow: when a filter is
// loaded, the kernel runs it once for every number there is, on each
// architecture, to know which calls are allowed always (since Linux 5.11).
func search(list []span) code {
	if len(list) == 1 {
		return list[0].code
	}
	middle := len(list) / 2
	below, above := search(list[:middle]), search(list[middle:])
	c := make(code, 0, 2+len(above)+len(below))
	c.ifAtLeast(list[middle].first, above)
	return append(c, below...)
}
