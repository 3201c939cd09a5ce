package userland

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Programs that choose, order and change lines.

func runSort(c *call) error {
	f := c.flags()
	numeric := f.BoolP("numeric-sort", "n", false, "by the number that the line begins with")
	reverse := f.BoolP("reverse", "r", false, "")
	unique := f.BoolP("unique", "u", false, "")
	field := f.IntP("key", "k", 0, "by this field, counted from 1")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	lines, err := c.allLines()
	if err != nil {
		return err
	}
	slices.SortStableFunc(lines, func(a, b string) int {
		a, b = fieldOf(a, *field), fieldOf(b, *field)
		order := strings.Compare(a, b)
		if *numeric {
			order = cmp.Compare(leadingNumber(a), leadingNumber(b))
		}
		if *reverse {
			order = -order
		}
		return order
	})
	if *unique {
		lines = slices.Compact(lines)
	}
	return c.printLines(lines)
}

func fieldOf(line string, n int) string {
	if fields := strings.Fields(line); n > 0 && n <= len(fields) {
		return fields[n-1]
	} else if n > 0 {
		return ""
	}
	return line
}

func leadingNumber(text string) float64 {
	text = strings.TrimSpace(text)
	end := strings.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789.-", r) })
	if end < 0 {
		end = len(text)
	}
	n, _ := strconv.ParseFloat(text[:end], 64) // no number counts as 0, as in sort(1)
	return n
}

func runUniq(c *call) error {
	f := c.flags()
	count := f.BoolP("count", "c", false, "how often each line came")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	lines, err := c.allLines()
	if err != nil {
		return err
	}
	for i := 0; i < len(lines); {
		n := 1
		for i+n < len(lines) && lines[i+n] == lines[i] {
			n++
		}
		if *count {
			fmt.Fprintf(c.out, "%7d ", n)
		}
		if _, err := fmt.Fprintln(c.out, lines[i]); err != nil {
			return err
		}
		i += n
	}
	return nil
}

func (c *call) allLines() (lines []string, err error) {
	err = c.each(func(_ string, r io.Reader) error {
		return eachLine(r, func(line string) error {
			lines = append(lines, line)
			return nil
		})
	})
	return lines, err
}

func (c *call) printLines(lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(c.out, line); err != nil {
			return err
		}
	}
	return nil
}

func runCut(c *call) error {
	f := c.flags()
	delimiter := f.StringP("delimiter", "d", "\t", "")
	list := f.StringP("fields", "f", "", "such as 1,3-4")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	wanted, err := numbers(*list)
	if err != nil {
		return err
	}
	return c.each(func(_ string, r io.Reader) error {
		return eachLine(r, func(line string) error {
			fields := strings.Split(line, *delimiter)
			var out []string
			for i, field := range fields {
				if wanted(i+1) || len(fields) == 1 {
					out = append(out, field)
				}
			}
			_, err := fmt.Fprintln(c.out, strings.Join(out, *delimiter))
			return err
		})
	})
}

// numbers reads "1,3-4,7-" into a question about a number.
func numbers(list string) (func(int) bool, error) {
	type span struct{ from, to int }
	var spans []span
	for part := range strings.SplitSeq(list, ",") {
		from, to, ranged := strings.Cut(part, "-")
		s := span{1, int(^uint(0) >> 1)}
		var err error
		if from != "" {
			s.from, err = strconv.Atoi(from)
		}
		if !ranged {
			s.to = s.from
		} else if to != "" && err == nil {
			s.to, err = strconv.Atoi(to)
		}
		if err != nil || part == "" || part == "-" {
			return nil, fmt.Errorf("list %q: want numbers and ranges, such as 1,3-4", list)
		}
		spans = append(spans, s)
	}
	return func(n int) bool {
		return slices.ContainsFunc(spans, func(s span) bool { return s.from <= n && n <= s.to })
	}, nil
}

func runTr(c *call) error {
	f := c.flags()
	remove := f.BoolP("delete", "d", false, "remove the characters")
	squeeze := f.BoolP("squeeze-repeats", "s", false, "many of one become one")
	if err := c.parse(f, 1); err != nil {
		return err
	}
	from, to := characters(c.args[0]), []rune(nil)
	if len(c.args) > 1 {
		to = characters(c.args[1])
	}
	text, err := io.ReadAll(c.in)
	if err != nil {
		return err
	}
	last := rune(-1)
	out := strings.Map(func(r rune) rune {
		at := slices.Index(from, r)
		if at >= 0 && *remove {
			return -1
		}
		if at >= 0 && len(to) > 0 {
			r = to[min(at, len(to)-1)]
		}
		if *squeeze && r == last && at >= 0 {
			return -1
		}
		last = r
		return r
	}, string(text))
	_, err = io.WriteString(c.out, out)
	return err
}

// characters writes out a set for tr: "a-z", "\n", and the classes that scripts use.
func characters(set string) []rune {
	set = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\\`, `\`, "[:lower:]", "a-z", "[:upper:]", "A-Z", "[:digit:]", "0-9",
		"[:space:]", " \t\n\r\v\f", "[:alpha:]", "A-Za-z", "[:alnum:]", "A-Za-z0-9").Replace(set)
	var out []rune
	runes := []rune(set)
	for i := 0; i < len(runes); i++ {
		if i+2 < len(runes) && runes[i+1] == '-' && runes[i] <= runes[i+2] {
			for r := runes[i]; r <= runes[i+2]; r++ {
				out = append(out, r)
			}
			i += 2
			continue
		}
		out = append(out, runes[i])
	}
	return out
}

func runSeq(c *call) error {
	bounds := []int{1, 1, 1} // first, step, last
	var given []int
	for _, a := range c.args {
		n, err := strconv.Atoi(a)
		if err != nil {
			return fmt.Errorf("%q: want a whole number", a)
		}
		given = append(given, n)
	}
	switch len(given) {
	case 1:
		bounds[2] = given[0]
	case 2:
		bounds[0], bounds[2] = given[0], given[1]
	case 3:
		copy(bounds, given)
	default:
		return errors.New("want [FIRST [STEP]] LAST")
	}
	if bounds[1] == 0 {
		return errors.New("the step is 0")
	}
	for n := bounds[0]; (bounds[1] > 0 && n <= bounds[2]) || (bounds[1] < 0 && n >= bounds[2]); n += bounds[1] {
		if _, err := fmt.Fprintln(c.out, n); err != nil {
			return err
		}
	}
	return nil
}
