// Command cutaway is a lab to see, take apart and rebuild what Docker is made of.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"cutaway/internal/inside"
	"cutaway/internal/probe"
	"cutaway/internal/userland"
	"cutaway/internal/vm"
	"cutaway/labs"
	"cutaway/labs/walk"
	"cutaway/minicontainer"
	"cutaway/minicontainer/initproc"
	_ "cutaway/minicontainer/shim" // this program is the shims too
	"cutaway/netdemo"
	"cutaway/unionfs/aufs"
)

// Exit codes of cutaway.
const (
	exitOK       = 0
	exitFailed   = 1 // a claim failed, or an error
	exitUsage    = 2
	exitUntested = 3 // something required was untested
	exitResidue  = 4
)

// exitError ends the program with a code. A nil err means that everything has
// been said already.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// usageError is a wrong command line.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func main() {
	// Helper processes are this same program under another name; they are
	// served before anything else is set up.
	initproc.Main()
	vm.Main()
	inside.Main()
	probe.Main()
	netdemo.Main()
	aufs.Main()
	userland.Main()
	code := run(context.Background(), os.Stdin, os.Stdout, os.Stderr, os.Args[1:])
	minicontainer.RecallShim()
	os.Exit(code)
}

// program is what the commands share.
type program struct {
	in       *os.File
	out, err io.Writer
	runDir   string
	lang     string

	root, storageDriver string // which images and containers
	storageOpts         []string
	host, cgroupParent  string // whose engine, and where its groups are
}

// run is the whole program.
func run(ctx context.Context, in *os.File, out, errs io.Writer, args []string) int {
	p := &program{in: in, out: out, err: errs}
	root := p.rootCommand(args)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	var exit exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintln(errs, "cutaway:", exit.err)
		}
		return exit.code
	default:
		fmt.Fprintln(errs, "cutaway:", err)
		return exitUsage
	}
}

func (p *program) rootCommand(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:           "cutaway",
		Short:         "See, take apart and rebuild what Docker is made of",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		// Flags before a verb are read where they stand: the verb may be oci, which
		// reads what comes after it by itself.
		TraverseChildren: true,
		RunE:             func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			p.runDir, err = filepath.Abs(p.runDir)
			return err
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.runDir, "run-dir", envOr("CUTAWAY_RUN_DIR", walk.DefaultRunDir()), "folder of the journal and the labs' scratch folders")
	flags.StringVar(&p.lang, "lang", os.Getenv("CUTAWAY_LANG"), "language of the texts, en or zh (default: from the locale)")
	p.stateFlags(flags)
	p.engineFlags(flags)
	for _, v := range wanted(p.verbs(), args) {
		root.AddCommand(v.make())
	}
	return root
}

// checkHooks tells `check` what it cannot know by itself: which labs need a
// feature, and the reader's language.
func (p *program) checkHooks() checkHooks {
	// Read once, and only when the first sentence is said: the language is a flag.
	read := sync.OnceValues(p.words)
	return checkHooks{
		NeededBy: labs.NeededBy,
		Translate: func(english string) string {
			if words, err := read(); err == nil {
				return words.Say(english)
			}
			return english
		},
	}
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
