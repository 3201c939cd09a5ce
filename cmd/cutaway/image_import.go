package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"cutaway/unionfs/image"
)

func (p *program) imageImport() *cobra.Command {
	var changes []string
	var message string
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "import [OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
		Short: "Import the contents from a tarball to create a filesystem image",
		Args:  func(_ *cobra.Command, args []string) error { return oneOrTwo(args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := importOptions(args[0], message, changes)
			if err != nil {
				return err
			}
			name := ""
			if len(args) == 2 {
				name = args[1]
			}
			return p.withInput(cmd.Context(), args[0], func(r io.Reader) error {
				return p.withStore(func(s *image.Store) error { return p.importTree(s, r, o, name) })
			})
		},
	})
	cmd.Flags().StringArrayVarP(&changes, "change", "c", nil, "apply Dockerfile instruction to the created image")
	cmd.Flags().StringVarP(&message, "message", "m", "", "set commit message for imported image")
	return cmd
}

func oneOrTwo(args []string) error {
	if len(args) < 1 {
		return errors.New("requires at least 1 argument")
	}
	return atMost(2)(nil, args)
}

func importOptions(source, message string, changes []string) (image.ImportOptions, error) {
	change, err := parseChanges(changes)
	if message == "" {
		message = "Imported from " + source
	}
	return image.ImportOptions{Message: message, Change: change, Source: source}, err
}

// parseChanges reads all --change, so that a wrong one is found before any work.
func parseChanges(lines []string) (func(*image.Config), error) {
	var all []func(*image.Config)
	for _, line := range lines {
		change, err := image.ParseChange(line)
		if err != nil {
			return nil, err
		}
		all = append(all, change)
	}
	return func(c *image.Config) {
		for _, change := range all {
			change(c)
		}
	}, nil
}

func (p *program) importTree(s *image.Store, tar io.Reader, o image.ImportOptions, name string) error {
	var ref image.Reference
	if name != "" {
		var err error
		if ref, err = reference(name); err != nil {
			return err
		}
	}
	img, err := s.Import(tar, o)
	if err == nil && name != "" {
		err = s.Tag(ref, img.ImageID)
	}
	if err == nil {
		fmt.Fprintln(p.out, img.ImageID)
	}
	return err
}
