package image

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// CommitOptions are what `docker commit` can set.
type CommitOptions struct {
	Author  string
	Comment string
	Command string        // what ran in the container, for the history
	Change  func(*Config) // changes the configuration, nil for none
	Created time.Time     // zero for now
}

// Commit makes an image from what a container wrote: the image's layers, plus
// one with the container's changes. Mount points and the init layer are not in
// it. What the container has written to is read as it is; a caller that wants
// one moment pauses the container first.
func (s *Store) Commit(container string, base *Image, opts CommitOptions) (*Image, error) {
	r, err := s.ContainerRoot(container)
	if err != nil {
		return nil, err
	}
	if r.Parent != base.ChainID() {
		return nil, fmt.Errorf("commit %s: the container does not stand on image %s", container, base.ImageID)
	}
	if opts.Created.IsZero() {
		opts.Created = time.Now()
	}
	b := s.NewBuilder(base, opts.Created)
	b.img.Author, b.img.Comment, b.img.Container = opts.Author, opts.Comment, container
	if opts.Change != nil {
		opts.Change(&b.config)
	}
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(s.Driver.Diff(r.MountID, r.InitID, pw)) }()
	b.Layer(opts.Command, pr)
	pr.Close()
	return b.Commit()
}

// ImportOptions are what `docker import` can set.
type ImportOptions struct {
	Message string
	Change  func(*Config)
	Created time.Time // zero for now
	Source  string    // where the tar came from, for the history
}

// Import makes an image of one layer from the tar of a whole tree.
func (s *Store) Import(tar io.Reader, opts ImportOptions) (*Image, error) {
	if opts.Created.IsZero() {
		opts.Created = time.Now()
	}
	if opts.Message == "" && opts.Source != "" {
		opts.Message = "Imported from " + opts.Source
	}
	b := s.NewBuilder(nil, opts.Created)
	b.Comment(opts.Message)
	if opts.Change != nil {
		opts.Change(&b.config)
	}
	b.Layer("", tar)
	return b.Commit()
}

// A Step is one line of `docker history`, the newest first.
type Step struct {
	ID        string // an image id where this machine has the image of that step, else "<missing>"
	Created   time.Time
	CreatedBy string
	Size      int64 // of the step's layer; 0 for a step without one
	Comment   string
	ChainID   digest.Digest // "" for a step without a layer
}

// Steps tells how an image came about.
func (s *Store) Steps(img *Image) ([]Step, error) {
	layers, err := s.Chain(img)
	if err != nil {
		return nil, err
	}
	history := img.History
	if len(history) == 0 { // made by a tool that keeps none
		history = make([]History, len(layers))
	}
	steps := make([]Step, len(history))
	next := 0
	for i, h := range history {
		step := Step{ID: "<missing>", Created: h.Created, CreatedBy: h.CreatedBy, Comment: h.Comment}
		if !h.EmptyLayer {
			step.Size, step.ChainID = layers[next].Size, layers[next].ChainID
			next++
		}
		steps[len(history)-1-i] = step
	}
	return steps, s.nameSteps(img, steps)
}

// nameSteps fills in the ids of the images that this one was made from.
func (s *Store) nameSteps(img *Image, steps []Step) error {
	for i := 0; i < len(steps) && img != nil; {
		steps[i].ID = img.ImageID.String()
		parent, err := s.Parent(img.ImageID)
		if err != nil || parent == "" {
			return err
		}
		p, err := s.Get(parent)
		if err != nil {
			return nil // the parent was removed; its steps stay "<missing>"
		}
		i += max(len(img.History)-len(p.History), 1)
		img = p
	}
	return nil
}

// ParseChange reads one instruction of `commit --change`, in Dockerfile syntax:
// CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR.
func ParseChange(line string) (func(*Config), error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	if rest == "" {
		return nil, fmt.Errorf("change %q: an instruction and its argument are needed", line)
	}
	change, ok := instructions()[strings.ToUpper(word)]
	if !ok {
		return nil, fmt.Errorf("change %q: instruction %s is not one of CMD ENTRYPOINT ENV EXPOSE LABEL USER VOLUME WORKDIR", line, word)
	}
	return func(c *Config) { change(c, rest) }, nil
}
