package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cutaway/unionfs/image"
)

// imageInfo is one element of `docker image inspect`. Names and order of fields
// are Docker's.
type imageInfo struct {
	Id              string
	RepoTags        []string
	RepoDigests     []string
	Parent          string
	Comment         string
	Created         time.Time
	Container       string
	ContainerConfig image.Config
	DockerVersion   string
	Author          string
	Config          *image.Config
	Architecture    string
	Variant         string `json:",omitempty"`
	Os              string
	Size            int64
	VirtualSize     int64
	GraphDriver     struct {
		Data map[string]string
		Name string
	}
	RootFS struct {
		Type   string
		Layers []string
	}
}

func (p *program) imageInspect() *cobra.Command {
	var format string
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "inspect [OPTIONS] IMAGE [IMAGE...]",
		Short: "Display detailed information on one or more images",
		Args:  atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.withStore(func(s *image.Store) error { return p.inspectImages(s, args, format) })
		},
	})
	formatFlag(cmd.Flags(), &format, "f")
	return cmd
}

// inspectImages shows those that it finds; then it names the ones it did not.
func (p *program) inspectImages(s *image.Store, names []string, format string) error {
	found, failed := []any{}, false
	var problems []error
	for _, name := range names {
		img, err := findImage(s, name)
		if err == nil {
			var info imageInfo
			if info, err = describeImage(s, img); err == nil {
				found = append(found, info)
				continue
			}
		}
		problems, failed = append(problems, err), true
	}
	if err := printInspect(p.out, format, found); err != nil {
		return err
	}
	for _, err := range problems {
		fmt.Fprintln(p.err, "Error:", err)
	}
	if failed {
		return exitError{code: exitFailed}
	}
	return nil
}

func describeImage(s *image.Store, img *image.Image) (info imageInfo, err error) {
	info = imageInfo{
		Id: img.ImageID.String(), RepoTags: []string{}, RepoDigests: []string{}, Comment: img.Comment, Created: img.Created,
		Container: img.Container, ContainerConfig: img.ContainerConfig, DockerVersion: img.DockerVersion, Author: img.Author,
		Config: img.Config, Architecture: img.Architecture, Variant: img.Variant, Os: img.OS,
	}
	names, err := s.Names(img.ImageID)
	if err != nil {
		return info, err
	}
	// By the whole name: docker.io/library/web comes before docker.io/me/app.
	slices.SortFunc(names, func(a, b image.Reference) int { return strings.Compare(a.String(), b.String()) })
	for _, n := range names {
		if n.Digest != "" {
			info.RepoDigests = append(info.RepoDigests, n.Name())
		} else {
			info.RepoTags = append(info.RepoTags, n.Name())
		}
	}
	parent, err := s.Parent(img.ImageID)
	if err != nil {
		return info, err
	}
	info.Parent = parent.String()
	return info, describeLayers(s, img, &info)
}

// describeLayers adds what the layers and their driver know.
func describeLayers(s *image.Store, img *image.Image, info *imageInfo) error {
	layers, err := s.Chain(img)
	if err != nil {
		return err
	}
	info.RootFS.Type = img.RootFS.Type
	for _, l := range layers {
		info.RootFS.Layers = append(info.RootFS.Layers, l.DiffID.String())
		info.Size += l.Size
	}
	info.VirtualSize, info.GraphDriver.Name = info.Size, s.Driver.Name()
	if len(layers) > 0 {
		info.GraphDriver.Data, err = s.Driver.Metadata(layers[len(layers)-1].CacheID)
	}
	return err
}

func plainNumber(n int64) string { return strconv.FormatInt(n, 10) }

// ellipsis cuts a text to n characters, the last of them a "…".
func ellipsis(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}
