package userland

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// pattern makes a regular expression of what grep was told. Basic regular
// expressions have + ? | ( ) { } as plain characters; Go's have them as signs.
func pattern(text string, fixed, extended, fold bool) (*regexp.Regexp, error) {
	if fixed {
		text = regexp.QuoteMeta(text)
	} else if !extended {
		text = basic(text)
	}
	if fold {
		text = "(?i)" + text
	}
	return regexp.Compile(text)
}

// basic turns a POSIX basic regular expression into an extended one: a backslash
// before +?|(){} changes sides.
func basic(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case ch == '\\' && i+1 < len(text):
			i++
			if !strings.ContainsRune("+?|(){}", rune(text[i])) {
				b.WriteByte('\\')
			}
			b.WriteByte(text[i])
		case strings.ContainsRune("+?|(){}", rune(ch)):
			b.WriteByte('\\')
			b.WriteByte(ch)
		default:
			b.WriteByte(ch)
		}
	}
	return b.String()
}

// grep is what to look for and how to tell.
type grep struct {
	c                                                  *call
	fold, invert, number, count, quiet, only, extended bool
	fixed, named                                       bool
	want                                               *regexp.Regexp
	matches                                            int
}

// runGrep has grep's exit codes: 0 for a match, 1 for none, 2 for an error.
func runGrep(c *call) error {
	g := grep{c: c}
	f := c.flags()
	f.BoolVarP(&g.fold, "ignore-case", "i", false, "")
	f.BoolVarP(&g.invert, "invert-match", "v", false, "")
	f.BoolVarP(&g.number, "line-number", "n", false, "")
	f.BoolVarP(&g.count, "count", "c", false, "")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "")
	f.BoolVarP(&g.only, "only-matching", "o", false, "")
	f.BoolVarP(&g.extended, "extended-regexp", "E", false, "")
	f.BoolVarP(&g.fixed, "fixed-strings", "F", false, "")
	if err := c.parse(f, 1); err != nil {
		return err
	}
	var err error
	if g.want, err = pattern(c.args[0], g.fixed, g.extended, g.fold); err != nil {
		c.complain(err)
		return exitCode(2)
	}
	c.args = c.args[1:]
	g.named = len(c.args) > 1
	switch err := c.each(g.search); {
	case err != nil:
		return err
	case c.failed:
		return exitCode(2)
	case g.matches == 0:
		return exitCode(1)
	}
	return nil
}

func (g *grep) search(name string, r io.Reader) error {
	prefix, here, at := "", 0, 0
	if g.named {
		prefix = name + ":"
	}
	err := eachLine(r, func(line string) error {
		at++
		if g.want.MatchString(line) == g.invert {
			return nil
		}
		here++
		return g.tell(prefix, line, at)
	})
	g.matches += here
	if g.count {
		fmt.Fprintf(g.c.out, "%s%d\n", prefix, here)
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// tell writes one line that was found, the way it was asked for.
func (g *grep) tell(prefix, line string, at int) error {
	switch {
	case g.quiet:
		return errEnough
	case g.count:
		return nil
	case g.number:
		line = strconv.Itoa(at) + ":" + line
	case g.only:
		line = strings.Join(g.want.FindAllString(line, -1), "\n")
	}
	_, err := fmt.Fprintln(g.c.out, prefix+line)
	return err
}
