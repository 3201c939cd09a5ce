package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"cutaway/minicontainer"
	"cutaway/minicontainer/api"
	"cutaway/unionfs/image"
)

func (p *program) containerCreate() *cobra.Command {
	f := &runFlags{}
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "create [OPTIONS] IMAGE [COMMAND] [ARG...]",
		Short: "Create a new container",
		Args:  atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withEngine(func(e api.Backend) error {
				c, err := p.create(cmd, e, f, args)
				if err == nil {
					fmt.Fprintln(p.out, c.ID)
				}
				return err
			})
		},
	})
	f.add(cmd)
	return cmd
}

func (p *program) create(cmd *cobra.Command, e api.Backend, f *runFlags, args []string) (*minicontainer.Container, error) {
	if err := checkTerminal(f.tty && f.interactive && !f.detach && len(f.attach) == 0, p.in); err != nil {
		return nil, p.dockerError(err)
	}
	o, err := f.options(args, cmd.Flags().Changed)
	if err != nil {
		fmt.Fprintln(p.err, "Error:", err)
		return nil, exitError{code: exitDockerFlag}
	}
	if f.cidfile == "" {
		return p.createFrom(cmd.Context(), e, f, o)
	}
	// Claimed first: two containers must not share one file.
	file, err := os.OpenFile(f.cidfile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("container ID file found, make sure the other container isn't running or delete %s: %w", f.cidfile, err)
	}
	defer file.Close()
	c, err := p.createFrom(cmd.Context(), e, f, o)
	if err != nil {
		return nil, errors.Join(err, os.Remove(f.cidfile))
	}
	_, err = file.WriteString(c.ID)
	return c, err
}

// When an image is brought in: the values of --pull.
const (
	pullAlways  = "always"
	pullMissing = "missing"
	pullNever   = "never"
)

// createFrom makes the container, and before that brings its image in where
// --pull says so. Nothing but the container's id may go to standard output.
func (p *program) createFrom(ctx context.Context, e api.Backend, f *runFlags, o minicontainer.Options) (*minicontainer.Container, error) {
	ref, notName := nameToPull(o.Config.Image)
	pull := func() error {
		return registryFlags{quiet: f.quiet, platform: f.platform}.bringIn(ctx, e.Pull, ref, p.err)
	}
	if f.pull == pullAlways {
		if notName != nil {
			return nil, notName
		}
		if err := pull(); err != nil {
			return nil, err
		}
	}
	c, err := e.Create(o)
	var none *minicontainer.NoImage
	if f.pull != pullMissing || notName != nil || !errors.As(err, &none) {
		return c, err
	}
	if !f.quiet {
		fmt.Fprintf(p.err, "Unable to find image '%s' locally\n", ref.Name())
	}
	if err := pull(); err != nil {
		return nil, err
	}
	return e.Create(o)
}

// nameToPull reads a name that a registry may know. An id is none.
func nameToPull(name string) (image.Reference, error) {
	if image.CheckDigest(digest.Digest(name)) == nil {
		return image.Reference{}, fmt.Errorf("%s is an image's id: only a name can be pulled", name)
	}
	return reference(name)
}
