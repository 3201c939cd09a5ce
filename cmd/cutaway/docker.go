package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Docker's verbs keep Docker's manners, so that what people know and what their
// scripts expect holds here: exit code 125 for a wrong flag, 1 for all else, and
// the same sentences. Only the prefix differs: Docker's client says "Error
// response from daemon:", and here no daemon is.
const exitDockerFlag = 125

// dockerCommand makes a command one of Docker's verbs.
func (p *program) dockerCommand(cmd *cobra.Command) *cobra.Command {
	cmd.DisableFlagsInUseLine = true // the uses say [OPTIONS] themselves
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		fmt.Fprintf(p.err, "%v\n\n%s", err, usageHint(cmd))
		return exitError{code: exitDockerFlag}
	})
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return p.dockerError(run(cmd, args)) }
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return p.argsError(cmd, check(cmd, args)) }
	}
	return cmd
}

// dockerGroup is a command that only has others below it, such as `image`.
func (p *program) dockerGroup(use, short string, below ...*cobra.Command) *cobra.Command {
	group := p.dockerCommand(&cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	})
	group.AddCommand(below...)
	return group
}

// dockerError says an error the way Docker's client does and sets exit code 1.
// An error with a code of its own has been said already.
func (p *program) dockerError(err error) error {
	var exit exitError
	if err == nil || errors.As(err, &exit) {
		return err
	}
	fmt.Fprintln(p.err, "Error:", err)
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		fmt.Fprintln(p.err, "An ordinary user may not do that: use sudo, or be root of a user namespace: unshare -Urm cutaway ...")
	}
	return exitError{code: exitFailed}
}

// argsError says what the command wants.
func (p *program) argsError(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	fmt.Fprintf(p.err, "cutaway: '%s' %v\n\n%s", cmd.CommandPath(), err, usageHint(cmd))
	return exitError{code: exitFailed}
}

func usageHint(cmd *cobra.Command) string {
	return fmt.Sprintf("Usage:  %s\n\nRun '%s --help' for more information\n", cmd.UseLine(), cmd.CommandPath())
}

// exactArgs, atLeast, atMost and noArgs are cobra's checks in Docker's words.
func exactArgs(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("requires %d argument%s", n, plural(n))
		}
		return nil
	}
}

func atLeast(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < n {
			return fmt.Errorf("requires at least %d argument%s", n, plural(n))
		}
		return nil
	}
}

func atMost(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > n {
			return fmt.Errorf("requires at most %d argument%s", n, plural(n))
		}
		return nil
	}
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return errors.New("accepts no arguments")
	}
	return nil
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// confirm asks before something is deleted. Anything but a yes is a no, and so
// is the end of the input.
func (p *program) confirm(question string) bool {
	fmt.Fprintf(p.out, "%s\nAre you sure you want to continue? [y/N] ", question)
	var answer string
	if _, err := fmt.Fscanln(p.in, &answer); err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	return strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes")
}

// formatFlag is --format, with Docker's -f where a command has that too.
func formatFlag(flags *pflag.FlagSet, format *string, short string) {
	flags.StringVarP(format, "format", short, "", "pretty-print by a Go template; \"table TEMPLATE\" adds headings, \"json\" is one object per line")
}
