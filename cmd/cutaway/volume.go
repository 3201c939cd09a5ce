package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"cutaway/minicontainer"
	"cutaway/volumedemo"
)

func (p *program) volumeCommand() *cobra.Command {
	return p.dockerGroup("volume", "Volumes: create, list, look into, remove",
		p.volumeCreate(), p.volumeLs(), p.volumeInspect(), p.volumeRm(), p.volumePrune())
}

// withVolumes opens the engine for one command on volumes: it knows who uses them.
func (p *program) withVolumes(do func(*minicontainer.Engine, *volumedemo.Store) error) error {
	return p.withEngineHere(func(e *minicontainer.Engine) error { return do(e, e.Volumes()) })
}

func (p *program) volumeCreate() *cobra.Command {
	var o volumedemo.CreateOptions
	var labels, opts []string
	cmd := p.dockerCommand(&cobra.Command{
		Use: "create [OPTIONS] [VOLUME]", Short: "Create a volume", Args: atMost(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && o.Name != "" {
				return errors.New("conflicting options: either specify --name or provide positional arg, not both")
			}
			if len(args) == 1 {
				o.Name = args[0]
			}
			o.Labels, o.Opts = pairs(labels), pairs(opts)
			return p.withVolumes(func(_ *minicontainer.Engine, s *volumedemo.Store) error {
				v, err := s.Create(o)
				if err == nil {
					fmt.Fprintln(p.out, v.Name)
				}
				return err
			})
		},
	})
	flags := cmd.Flags()
	flags.StringVarP(&o.Driver, "driver", "d", "local", "specify volume driver name")
	flags.StringArrayVar(&labels, "label", nil, "set metadata for a volume")
	flags.StringArrayVarP(&opts, "opt", "o", nil, "set driver specific options")
	flags.StringVar(&o.Name, "name", "", "specify volume name")
	flags.MarkHidden("name")
	return cmd
}

func (p *program) volumeInspect() *cobra.Command {
	var format string
	cmd := p.dockerCommand(&cobra.Command{
		Use: "inspect [OPTIONS] VOLUME [VOLUME...]", Short: "Display detailed information on one or more volumes", Args: atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withVolumes(func(_ *minicontainer.Engine, s *volumedemo.Store) error { return p.inspectVolumes(s, args, format) })
		},
	})
	formatFlag(cmd.Flags(), &format, "f")
	return cmd
}

// inspectVolumes shows those that there are, and then says which there are not.
func (p *program) inspectVolumes(s *volumedemo.Store, names []string, format string) error {
	found, problems := []any{}, []error{}
	for _, name := range names {
		v, err := s.Inspect(name)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		found = append(found, v)
	}
	if err := printInspect(p.out, format, found); err != nil {
		return err
	}
	return errors.Join(problems...)
}

func (p *program) volumeRm() *cobra.Command {
	var force bool
	cmd := p.dockerCommand(&cobra.Command{
		Use: "rm [OPTIONS] VOLUME [VOLUME...]", Aliases: []string{"remove"},
		Short: "Remove one or more volumes. You cannot remove a volume that is in use by a container.", Args: atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withVolumes(func(e *minicontainer.Engine, s *volumedemo.Store) error {
				var problems []error
				for _, name := range args {
					err := s.Remove(name, e.VolumeUsers)
					if err != nil && !(force && errors.Is(err, volumedemo.ErrNotExist)) {
						problems = append(problems, err)
						continue
					}
					fmt.Fprintln(p.out, name)
				}
				return errors.Join(problems...)
			})
		},
	})
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not complain of volumes that do not exist")
	return cmd
}

func (p *program) volumePrune() *cobra.Command {
	var all, force bool
	var filters []string
	cmd := p.dockerCommand(&cobra.Command{
		Use: "prune [OPTIONS]", Short: "Remove unused local volumes", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.withVolumes(func(e *minicontainer.Engine, s *volumedemo.Store) error {
				one, err := volumePruning(e, s, all, filters)
				if err != nil {
					return err
				}
				if !force && !p.confirm("WARNING! This will remove "+one.warning+".") {
					return nil
				}
				return p.runPrunings([]pruning{one})
			})
		},
	})
	cmd.Flags().BoolVarP(&all, "all", "a", false, "remove all unused volumes, not just anonymous ones")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not prompt for confirmation")
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "provide filter values (e.g. 'label=<label>')")
	return cmd
}

// volumePruning removes volumes that no container uses: by default those that
// nobody gave a name, as Docker does since version 23.
func volumePruning(e *minicontainer.Engine, s *volumedemo.Store, all bool, filters []string) (pruning, error) {
	one := pruning{warning: "anonymous local volumes not used by at least one container", title: "Deleted Volumes:"}
	if all {
		one.warning = "all local volumes not used by at least one container"
	}
	wanted, err := parseVolumeFilters(filters, nil)
	one.prune = func() ([]string, int64, error) {
		gone, err := s.Prune(func(v volumedemo.Info) bool { return (all || v.Anonymous()) && wanted(v) }, e.VolumeUsers)
		return gone.Names, gone.Bytes, err
	}
	return one, err
}
