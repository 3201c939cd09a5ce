package evidence

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Matcher is a test of one value, with the words for it.
type Matcher struct {
	text  func(Observed) string
	match func(Observed, string) bool
}

func plain(text string, match func(string) bool) Matcher {
	return Matcher{
		text:  func(Observed) string { return text },
		match: func(_ Observed, v string) bool { return match(v) },
	}
}

// Equals matches the value itself.
func Equals(want string) Matcher {
	return plain("is "+want, func(v string) bool { return v == want })
}

// OneOf matches any of the values.
func OneOf(want ...string) Matcher {
	return plain("is one of "+strings.Join(want, ", "), func(v string) bool { return slices.Contains(want, v) })
}

// Contains matches a value with the text in it.
func Contains(want string) Matcher {
	return plain("contains "+want, func(v string) bool { return strings.Contains(v, want) })
}

// Matches matches a regular expression. It is compiled when it is first used:
// the program makes all labs' claims at every start, and judges few of them.
func Matches(expr string) Matcher {
	compiled := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
	return plain("matches "+expr, func(v string) bool { return compiled().MatchString(v) })
}

// Present matches every value but Absent.
func Present() Matcher {
	return plain("is there", func(v string) bool { return v != Absent })
}

// Gone matches Absent.
func Gone() Matcher { return plain("is absent", func(v string) bool { return v == Absent }) }

// Not matches where m does not, as long as there is a value at all.
func Not(m Matcher) Matcher {
	return Matcher{
		text:  func(o Observed) string { return "not (" + m.text(o) + ")" },
		match: func(o Observed, v string) bool { return v != Absent && !m.match(o, v) },
	}
}

// Between matches a number from lo to hi, both included. A unit behind the
// number ("51.3 %") is passed over.
func Between(lo, hi float64) Matcher {
	return plain(fmt.Sprintf("from %g to %g", lo, hi), func(v string) bool {
		n, ok := Number(v)
		return ok && n >= lo && n <= hi
	})
}

// AtLeast matches a number of lo or more.
func AtLeast(lo float64) Matcher {
	return plain(fmt.Sprintf("is at least %g", lo), func(v string) bool {
		n, ok := Number(v)
		return ok && n >= lo
	})
}

// Param matches the learner's own choice (--set name=VALUE).
func Param(name string) Matcher {
	return Matcher{
		text:  func(o Observed) string { return "is " + o.Params[name] },
		match: func(o Observed, v string) bool { return v == o.Params[name] },
	}
}

// Number reads the number at the start of a value: "51.3 %" is 51.3.
func Number(v string) (float64, bool) {
	word, _, _ := strings.Cut(strings.TrimSpace(v), " ")
	n, err := strconv.ParseFloat(word, 64)
	return n, err == nil
}
