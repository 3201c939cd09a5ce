package userland

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

// A call is one run of an applet: what a program gets from its parent.
type call struct {
	name     string
	usage    string
	args     []string
	in       io.Reader
	out, err io.Writer
	failed   bool // something was complained about: exit code 1
}

// flags begins a set of options, in the usual form: -la is -l -a.
func (c *call) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	return f
}

// parse reads the options; what is left are the operands. On --help and on a
// wrong option it says how the applet is used.
func (c *call) parse(f *pflag.FlagSet, least int) error {
	err := f.Parse(c.args)
	c.args = f.Args()
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprintf(c.out, "Usage: %s %s\n%s", c.name, c.usage, f.FlagUsages())
		return exitCode(0)
	case err != nil:
		fmt.Fprintf(c.err, "%s: %v\nUsage: %s %s\n", c.name, err, c.name, c.usage)
		return exitCode(2)
	case len(c.args) < least:
		fmt.Fprintf(c.err, "%s: missing operand\nUsage: %s %s\n", c.name, c.name, c.usage)
		return exitCode(2)
	}
	return nil
}

// complain reports one failure; the applet goes on with the next operand, as
// `rm a b` does when it cannot remove a.
func (c *call) complain(err error) {
	if err != nil {
		fmt.Fprintf(c.err, "%s: %s\n", c.name, words(err))
		c.failed = true
	}
}

// words says "PATH: reason" without the name of the system call.
func words(err error) string {
	switch err := err.(type) {
	case *fs.PathError:
		return err.Path + ": " + reason(err.Err)
	case *os.LinkError:
		return err.Old + " -> " + err.New + ": " + reason(err.Err)
	}
	return reason(err)
}

// reason is strerror(3)'s text for an errno, with a capital as C has it.
func reason(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) && err.Error() == errno.Error() {
		text := errno.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}

// each opens the operands one after the other; none, or "-", is standard input.
func (c *call) each(do func(name string, r io.Reader) error) error {
	names := c.args
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, name := range names {
		if err := c.one(name, do); errors.Is(err, unix.EPIPE) {
			return err
		} else if err != nil {
			c.complain(err)
		}
	}
	return nil
}

func (c *call) one(name string, do func(name string, r io.Reader) error) error {
	if name == "-" {
		return do(name, c.in)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return do(name, f)
}
