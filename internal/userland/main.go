package userland

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Command is the word on cutaway's command line after which an applet's name
// and arguments come, for places where no link of that name is.
const Command = "__userland"

// Main runs an applet if this process was started as one, and never returns
// then. In any other process it costs a look at argv.
func Main() {
	args := os.Args
	if len(args) > 2 && args[1] == Command {
		args = args[2:]
	}
	name := filepath.Base(args[0])
	if find(name) == nil {
		return
	}
	os.Exit(Run(name, args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Run runs one applet and returns its exit code.
func Run(name string, args []string, in io.Reader, out, errs io.Writer) int {
	a := find(name)
	if a == nil {
		fmt.Fprintf(errs, "%s: applet not found\n", name)
		return 127
	}
	c := &call{name: name, usage: a.usage, args: args, in: in, out: out, err: errs}
	err := a.run(c)
	var code exitCode
	switch {
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, unix.EPIPE): // the reader of a pipe has had enough
		return 128 + int(unix.SIGPIPE)
	case err != nil:
		c.complain(err)
		return 1
	case c.failed:
		return 1
	}
	return 0
}

// exitCode ends an applet that has said everything.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }
