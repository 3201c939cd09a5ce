package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"cutaway/minicontainer"
	"cutaway/unionfs/image"
)

// imageVerbs are `cutaway image ...`, and those of them that Docker also has
// without the word image.
func (p *program) imageVerbs() []verb {
	return []verb{
		{"image", p.imageGroup}, {"images", p.imagesCommand}, {"rmi", p.rmiCommand},
		{"pull", p.imagePull}, {"push", p.imagePush}, {"history", p.imageHistory}, {"save", p.imageSave},
		{"load", p.imageLoad}, {"import", p.imageImport}, {"tag", p.imageTag},
	}
}

func (p *program) imageGroup() *cobra.Command {
	return p.dockerGroup("image", "Images: pull, list, look into, save, load, remove",
		p.imagePull(), p.imagePush(), p.imageLs(), p.imageRm(), p.imageHistory(), p.imageInspect(),
		p.imageSave(), p.imageLoad(), p.imageImport(), p.imageTag(), p.imagePrune())
}

func (p *program) imagesCommand() *cobra.Command {
	ls := p.imageLs()
	ls.Use, ls.Aliases = "images [OPTIONS] [REPOSITORY[:TAG]]", nil
	return ls
}

func (p *program) rmiCommand() *cobra.Command {
	rm := p.imageRm()
	rm.Use, rm.Aliases = "rmi [OPTIONS] IMAGE [IMAGE...]", nil
	return rm
}

func (p *program) imageTag() *cobra.Command {
	return p.dockerCommand(&cobra.Command{
		Use:   "tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
		Short: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
		Args:  exactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			ref, err := reference(args[1])
			if err == nil && ref.Digest != "" {
				err = errors.New("refusing to create a tag with a digest reference")
			}
			if err != nil {
				return err
			}
			return p.withStore(func(s *image.Store) error {
				img, err := findImage(s, args[0])
				if err != nil {
					return err
				}
				return s.Tag(ref, img.ImageID)
			})
		},
	})
}

func (p *program) imageRm() *cobra.Command {
	var force bool
	cmd := p.dockerCommand(&cobra.Command{
		Use:     "rm [OPTIONS] IMAGE [IMAGE...]",
		Aliases: []string{"remove"},
		Short:   "Remove one or more images",
		Args:    atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withEngineHere(func(e *minicontainer.Engine) error { return p.removeImages(e, args, force) })
		},
	})
	cmd.Flags().BoolVarP(&force, "force", "f", false, "force removal of the image")
	return cmd
}

// removeImages goes on after a name that fails, as Docker does. With force, names
// that are unknown are said but no failure.
func (p *program) removeImages(e *minicontainer.Engine, names []string, force bool) error {
	s := e.Images
	running, err := runningContainers(e)
	if err != nil {
		return err
	}
	var problems []string
	failed := false
	for _, name := range names {
		list, err := s.Remove(name, force, usesOf(s, running))
		for _, r := range list {
			fmt.Fprintln(p.out, r)
		}
		if err = noSuchImage(name, err); err != nil {
			problems = append(problems, "Error: "+err.Error())
			failed = failed || !force || !errors.Is(err, fs.ErrNotExist)
		}
	}
	if len(problems) > 0 {
		fmt.Fprintln(p.err, strings.Join(problems, "\n"))
	}
	if failed {
		return exitError{code: exitFailed}
	}
	return nil
}

// runningContainers are read before an image is removed: once the store is
// locked for that, containers cannot be looked at any more.
func runningContainers(e *minicontainer.Engine) (map[string]bool, error) {
	list, err := e.List(minicontainer.ListOptions{})
	running := map[string]bool{}
	for _, c := range list {
		running[c.ID] = true
	}
	return running, err
}

// usesOf tells which containers stand on an image, by the layers that the store
// keeps for containers.
func usesOf(s *image.Store, running map[string]bool) func(digest.Digest) ([]image.Use, error) {
	return func(id digest.Digest) ([]image.Use, error) {
		img, err := s.Get(id)
		if err != nil {
			return nil, err
		}
		roots, err := s.Roots()
		var uses []image.Use
		for _, r := range roots {
			if r.Parent == img.ChainID() {
				uses = append(uses, image.Use{Container: r.Container, Running: running[r.Container]})
			}
		}
		return uses, err
	}
}
