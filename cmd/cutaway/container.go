package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
)

// containerCommands are Docker's verbs for containers, at the top and below
// `container`. A cobra command has one parent, so each is made twice.
func (p *program) containerVerbs() []verb {
	return append(p.oneContainerVerbs(), verb{"container", p.containerGroup})
}

func (p *program) oneContainerVerbs() []verb {
	return []verb{
		{"run", p.containerRun}, {"create", p.containerCreate}, {"start", p.containerStart}, {"stop", p.containerStop},
		{"restart", p.containerRestart}, {"kill", p.containerKill}, {"wait", p.containerWait}, {"rm", p.containerRm},
		{"ps", p.containerPs}, {"logs", p.containerLogs}, {"attach", p.containerAttach}, {"exec", p.containerExec},
		{"pause", p.containerPause}, {"unpause", p.containerUnpause}, {"rename", p.containerRename}, {"update", p.containerUpdate},
		{"top", p.containerTop}, {"stats", p.containerStats}, {"port", p.containerPort}, {"diff", p.containerDiff},
		{"commit", p.containerCommit}, {"export", p.containerExport}, {"cp", p.containerCp}, {"inspect", p.containerInspect},
	}
}

// containerGroup is `cutaway container ...`. A cobra command has one parent, so
// what stands alone as well is made twice.
func (p *program) containerGroup() *cobra.Command {
	ls := p.containerPs()
	ls.Use = "ls [OPTIONS]"
	below := []*cobra.Command{ls, p.containerPrune()}
	for _, v := range p.oneContainerVerbs() {
		below = append(below, v.make())
	}
	return p.dockerGroup("container", "Containers, by the verbs that also stand alone", below...)
}

// engineFlags say where the engine is.
func (p *program) engineFlags(flags *pflag.FlagSet) {
	flags.StringVar(&p.host, "host", os.Getenv("CUTAWAY_HOST"), "daemon to ask, such as unix:///run/cutaway/api.sock (default: none, do it here)")
	flags.StringVar(&p.cgroupParent, "cgroups", os.Getenv("CUTAWAY_CGROUPS"), "cgroup that containers' groups are made in where --cgroup-parent does not say (default cutaway)")
}

// engine opens the engine here, or the way to a daemon's.
func (p *program) engine() (api.Backend, error) {
	if p.host != "" {
		minicontainer.RecallShim() // the daemon starts its own
		return api.Dial(p.host)
	}
	e, err := minicontainer.Open(p.settings())
	if err != nil {
		return nil, err
	}
	return api.Local{Engine: e}, nil
}

func (p *program) settings() minicontainer.Settings {
	return minicontainer.Settings{Root: p.root, RunDir: filepath.Join(p.runDir, "engine"), Driver: p.storageDriver, CgroupParent: p.cgroupParent, StorageOpts: p.storageOpts}
}

// withEngineHere opens the engine in this process, for what no daemon is asked.
func (p *program) withEngineHere(do func(*minicontainer.Engine) error) (err error) {
	e, err := minicontainer.Open(p.settings())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	return do(e)
}

// withEngine opens the engine for one command.
func (p *program) withEngine(do func(api.Backend) error) (err error) {
	e, err := p.engine()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	return do(e)
}

// eachContainer does something to every container that is named, goes on after
// an error, and prints the names of those that it was done to.
func (p *program) eachContainer(refs []string, do func(api.Backend, string) error) error {
	return p.withEngine(func(e api.Backend) error {
		var problems []string
		for _, ref := range refs {
			err := do(e, ref)
			if errors.Is(err, errSaid) {
				continue
			}
			if err != nil {
				problems = append(problems, "Error: "+err.Error())
				continue
			}
			fmt.Fprintln(p.out, ref)
		}
		if len(problems) == 0 {
			return nil
		}
		fmt.Fprintln(p.err, strings.Join(problems, "\n"))
		return exitError{code: exitFailed}
	})
}

// errSaid is for what was said already and is not worth an exit code.
var errSaid = errors.New("has been said")

// simpleVerb is a command that does one thing to each container named.
func (p *program) simpleVerb(use, short string, do func(api.Backend, string) error) *cobra.Command {
	return p.dockerCommand(&cobra.Command{
		Use: use + " CONTAINER [CONTAINER...]", Short: short, Args: atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error { return p.eachContainer(args, do) },
	})
}

func (p *program) containerPause() *cobra.Command {
	return p.simpleVerb("pause", "Pause all processes within one or more containers", api.Backend.Pause)
}

func (p *program) containerUnpause() *cobra.Command {
	return p.simpleVerb("unpause", "Unpause all processes within one or more containers", api.Backend.Unpause)
}

func (p *program) containerRename() *cobra.Command {
	return p.dockerCommand(&cobra.Command{
		Use: "rename CONTAINER NEW_NAME", Short: "Rename a container", Args: exactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withEngine(func(e api.Backend) error { return e.Rename(args[0], args[1]) })
		},
	})
}
