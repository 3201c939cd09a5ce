package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"cutaway/internal/probe"

	"github.com/spf13/cobra"
)

// checkOptions is what the command line of check says.
type checkOptions struct {
	json, plain, passive, load bool
	profiles                   []string
	config, dir                string
}

// checkHooks is what check needs from the rest of the program: which labs
// need a row, and the reader's language. Labs import probe, not the other way
// round, so that the first has to come from outside. Both may be nil.
type checkHooks struct {
	NeededBy  func() map[probe.ID][]string
	Translate func(english string) string
}

// newCheckCommand returns `cutaway check`.
func newCheckCommand(hooks checkHooks) *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [ID...]",
		Short: "Say what this kernel can do, by trying it",
		Long: `check asks the kernel for every feature that the labs use, by doing it in
throwaway child processes, and says what was seen, what does not work without
it, and what to do. It leaves nothing behind, and loads no kernel module unless
told to with --load.

With IDs, or the first part of some ("overlay"), only these are asked for.

Exit code: 0 all that is required can be used (yes, module); 1 something
required is missing; 2 wrong usage; 3 something required could not be told,
usually for want of root.`,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCheck(cmd.Context(), cmd.OutOrStdout(), o, hooks, args)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.json, "json", false, "print one JSON object and nothing else")
	f.BoolVar(&o.plain, "plain", false, "print without box drawing and colour")
	f.StringSliceVar(&o.profiles, "for", nil, "judge for these uses: "+strings.Join(profileNames(), ", "))
	f.StringVar(&o.config, "config", "", "judge another kernel by its config `FILE`; this one is not asked")
	f.BoolVar(&o.passive, "passive", false, "read files only, try nothing")
	f.BoolVar(&o.load, "load", false, "let the kernel load modules when it is asked for them")
	f.StringVar(&o.dir, "dir", defaultStateDir(), "folder where images would be kept")
	return cmd
}

func profileNames() []string {
	var names []string
	for _, p := range probe.Profiles() {
		names = append(names, p.Name)
	}
	return names
}

// defaultStateDir is where cutaway keeps images for this user.
func defaultStateDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/cutaway"
	}
	if home, err := os.UserHomeDir(); err == nil {
		return home + "/.local/share/cutaway"
	}
	return os.TempDir()
}

// A report is everything that check found; JSON and text are two ways to
// print it.
type report struct {
	header   probe.Header
	config   *probe.Config // what the lists are judged by, nil for none
	results  []probe.Result
	verdicts []probe.Verdict
	needed   map[probe.ID][]string
	required map[probe.ID]bool // rows in a required alternative
	exit     int
}

// runCheck asks, judges and prints.
func runCheck(ctx context.Context, out io.Writer, o checkOptions, hooks checkHooks, args []string) error {
	ids, requirements, err := chosen(o, args)
	if err != nil {
		return err
	}
	var other *probe.Config
	if o.config != "" {
		if other, err = probe.LoadConfig(o.config); err != nil {
			return usageError{fmt.Sprintf("--config %s: %v", o.config, err)}
		}
		requirements = probe.ByConfig(requirements)
	}
	r := &report{config: other, required: map[probe.ID]bool{}}
	if r.config == nil {
		r.config = probe.RunningConfig()
	}
	r.header = probe.ReadHeader(r.config)
	if hooks.NeededBy != nil {
		r.needed = hooks.NeededBy()
	}
	r.results = probe.Run(ctx, probe.Options{Load: o.load, Passive: o.passive, Config: other, StateDir: o.dir}, ids...)
	if err := ctx.Err(); err != nil {
		return err
	}
	r.judge(requirements)
	if o.json {
		err = printCheckJSON(out, r)
	} else {
		err = newCheckPrinter(out, o.plain, hooks.Translate).print(r, other != nil)
	}
	if err != nil || r.exit == 0 {
		return err
	}
	return exitError{code: r.exit}
}

// judge fills in the verdicts and the exit code.
func (r *report) judge(requirements []probe.Requirement) {
	r.verdicts = probe.Judge(r.results, requirements)
	r.exit = probe.ExitCode(r.verdicts)
	for _, v := range r.verdicts {
		for _, way := range v.AnyOf {
			for _, id := range way {
				r.required[id] = true
			}
		}
	}
}

// chosen turns ids and profiles into the rows to ask and what is required of
// them. Ids on the command line are all required; without any, every row is
// shown and the profiles, by default the first one, decide about the exit code.
func chosen(o checkOptions, args []string) ([]probe.ID, []probe.Requirement, error) {
	if o.passive && o.load {
		return nil, nil, usageError{"--passive tries nothing and --load lets the kernel load modules: choose one"}
	}
	if len(args) > 0 {
		ids, err := expandIDs(args)
		return ids, probe.Each(ids...), err
	}
	names, all := o.profiles, false
	if len(names) == 0 {
		names, all = []string{probe.Profiles()[0].Name}, true
	}
	var ids []probe.ID
	var requirements []probe.Requirement
	for _, name := range names {
		p, ok := probe.FindProfile(name)
		if !ok {
			return nil, nil, usageError{fmt.Sprintf("--for %s: there is no such use; there are: %s", name, strings.Join(profileNames(), ", "))}
		}
		requirements = append(requirements, p.Required...)
		ids = append(ids, p.IDs()...)
	}
	if all {
		ids = nil
	}
	return ids, requirements, nil
}

// expandIDs accepts whole ids, and the beginning of ids up to a dot.
func expandIDs(args []string) ([]probe.ID, error) {
	var ids []probe.ID
	for _, arg := range args {
		if _, ok := probe.Find(probe.ID(arg)); ok {
			ids = append(ids, probe.ID(arg))
			continue
		}
		n := len(ids)
		for _, p := range probe.All() {
			if strings.HasPrefix(string(p.ID), arg+".") {
				ids = append(ids, p.ID)
			}
		}
		if len(ids) == n {
			return nil, usageError{fmt.Sprintf("there is no probe %q; cutaway check --passive --plain lists all ids", arg)}
		}
	}
	return ids, nil
}
