package userland

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// The shell interprets in this one process. What that means for lessons:
//
//	( ), pipes, &     threads of the shell, not processes; $! is no pid
//	trap              EXIT only
//	exec 3>file       only descriptors 0, 1 and 2
//	cd, umask         are the process's, as in a real shell (see faithful)
//	kill              is the program of that name
//
// runSh is `sh [-c COMMANDS [NAME [ARG...]]]`, `sh FILE [ARG...]`, or with
// commands on standard input; at a terminal it asks for them.
func runSh(c *call) error {
	args, options := c.args, []string{}
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && args[0] != "-c" {
		if letters := strings.Trim(args[0], "-lisc"); letters != "" {
			options = append(options, "-"+letters)
		}
		withText := !strings.HasPrefix(args[0], "--") && strings.Contains(args[0], "c")
		args = args[1:]
		if withText { // "-ec"
			args = append([]string{"-c"}, args...)
			break
		}
	}
	switch {
	case len(args) > 0 && args[0] == "-c":
		if len(args) == 1 {
			return errors.New("-c wants commands")
		}
		name := "sh" // $0
		if len(args) > 2 {
			name = args[2]
		}
		return c.shell(name, strings.NewReader(args[1]), append(options, "--"), args[min(3, len(args)):])
	case len(args) > 0:
		f, err := os.Open(args[0])
		if err != nil {
			c.complain(err)
			return exitCode(127)
		}
		defer f.Close()
		return c.shell(args[0], f, append(options, "--"), args[1:])
	}
	if f, ok := c.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return c.converse()
	}
	return c.shell("sh", c.in, append(options, "--"), nil)
}

// shell runs all of a text. Its commands get the standard input, unless that is
// where the text comes from.
func (c *call) shell(name string, text io.Reader, options, args []string) error {
	parsed, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(text, name)
	if err != nil {
		c.complain(err)
		return exitCode(2)
	}
	r, err := c.runner(append(options, args...))
	if err != nil {
		return err
	}
	return ended(r.Run(context.Background(), parsed))
}

func (c *call) runner(params []string) (*interp.Runner, error) {
	return interp.New(interp.StdIO(c.in, c.out, c.err), interp.Params(params...), interp.Env(expand.ListEnviron(os.Environ()...)),
		interp.CallHandler(faithful))
}

// ended turns the interpreter's word for an exit status into ours.
func ended(err error) error {
	var status interp.ExitStatus
	if errors.As(err, &status) {
		return exitCode(status)
	}
	return err
}

// converse reads commands from a terminal until the end of input. Ctrl-C is for
// the command that runs: it is in the terminal's foreground group, as we are, and
// a handler (unlike SIG_IGN) is not handed down to it.
func (c *call) converse() error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT)
	r, err := c.runner(nil)
	if err != nil {
		return err
	}
	parser := syntax.NewParser(syntax.Variant(syntax.LangPOSIX))
	prompt := func() { fmt.Fprint(c.err, map[bool]string{true: "# ", false: "$ "}[os.Geteuid() == 0]) }
	prompt()
	var last error
	for list, err := range parser.InteractiveSeq(bufio.NewReader(c.in)) {
		if err != nil {
			c.complain(err)
			return exitCode(2)
		}
		if parser.Incomplete() {
			fmt.Fprint(c.err, "> ")
			continue
		}
		for _, statement := range list {
			if last = r.Run(context.Background(), statement); r.Exited() {
				return ended(last)
			}
		}
		prompt()
	}
	fmt.Fprintln(c.err)
	return ended(last)
}

// faithful is called before each command. It makes the process do what the
// interpreter only keeps in mind, so that /proc/<pid> shows it: the folder and
// the umask. And kill is a program: the interpreter has none.
func faithful(ctx context.Context, args []string) ([]string, error) {
	h := interp.HandlerCtx(ctx)
	if err := os.Chdir(h.Dir); err != nil {
		return nil, err
	}
	switch {
	case len(args) == 0:
	case args[0] == "kill":
		path, err := interp.LookPathDir(h.Dir, h.Env, "kill")
		if err != nil {
			return nil, err
		}
		args = append([]string{path}, args[1:]...)
	case args[0] == "umask":
		return umask(h.Stdout, args[1:])
	}
	return args, nil
}

func umask(out io.Writer, args []string) ([]string, error) {
	if len(args) == 0 {
		now := unix.Umask(0)
		unix.Umask(now)
		fmt.Fprintf(out, "%04o\n", now)
		return []string{"true"}, nil
	}
	n, err := strconv.ParseUint(args[0], 8, 9)
	if err != nil {
		return []string{"false"}, fmt.Errorf("umask: %q: want octal digits", args[0])
	}
	unix.Umask(int(n))
	return []string{"true"}, nil
}

// runBuiltin is a program that is also a builtin of the shell: echo, printf, test,
// [ and pwd. The shell does it.
func runBuiltin(c *call) error {
	return c.shell(c.name, strings.NewReader(c.name+` "$@"`), []string{"--"}, c.args)
}
