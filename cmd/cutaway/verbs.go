package main

import (
	"slices"

	"github.com/spf13/cobra"
)

// verb is a command of the program. It is made when it is wanted: to make them
// all, with all their flags, takes as long as the program takes to start.
type verb struct {
	name string
	make func() *cobra.Command
}

func (p *program) verbs() []verb {
	return slices.Concat(p.labVerbs(), p.containerVerbs(), p.imageVerbs(), []verb{
		{"network", p.networkCommand}, {"volume", p.volumeCommand}, {"system", p.systemCommand}, {"daemon", p.daemonCommand},
		{"vm", newVMCommand}, {"aufs", newAufsCommand}, {"oci", p.ociCommand},
	})
}

func (p *program) labVerbs() []verb {
	return []verb{
		{"lab", p.labCommand}, {"__worker", p.workerCommand}, {"__relay", p.relayCommand},
		{"list", p.listCommand}, {"clean", p.cleanCommand}, {"coverage", p.coverageCommand}, {"info", p.infoCommand},
		{"check", func() *cobra.Command { return newCheckCommand(p.checkHooks()) }},
	}
}

// wanted are the verbs that stand anywhere on the command line, one more than
// needed at times (run box ps). Where none does, in a help text or after a slip
// of the fingers, all are.
func wanted(all []verb, args []string) []verb {
	named := slices.DeleteFunc(slices.Clone(all), func(v verb) bool { return !slices.Contains(args, v.name) })
	if len(named) == 0 || slices.Contains(args, "help") {
		return all
	}
	return named
}
