package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/opencontainers/go-digest"

	"cutaway/minicontainer"
	"cutaway/minicontainer/builtin"
	"cutaway/unionfs/image"
	"cutaway/unionfs/image/registry"
)

// Pulled is what bringing an image in came to.
type Pulled struct {
	Manifest digest.Digest `json:",omitempty"` // that the registry knows it by; "" for a built-in image
	New      bool          // the name stands for another image than before
}

// PullInto brings an image into a store: from its registry or, a built-in one,
// from what is on this machine.
func PullInto(ctx context.Context, s *image.Store, ref image.Reference, o registry.Options) (Pulled, error) {
	before, _ := s.Resolve(ref.Name())
	var p Pulled
	var img *image.Image
	if builtin.Is(ref.Name()) {
		made, err := builtin.Ensure(s, ref.Repository())
		if err != nil {
			return p, err
		}
		img = made
	} else {
		got, err := registry.Pull(ctx, s, ref, o)
		if err != nil {
			return p, err
		}
		img, p.Manifest = got.Image, got.Manifest
	}
	p.New = before == nil || before.ImageID != img.ImageID
	return p, nil
}

// Pull brings an image into the engine's store.
func (l Local) Pull(ctx context.Context, ref image.Reference, o registry.Options) (Pulled, error) {
	return PullInto(ctx, l.Images, ref, o)
}

// pullRequest is what a daemon is asked to bring in. pullLine is one line of its
// answer: how it goes, and in the last line what it came to.
type (
	pullRequest struct {
		Ref                          string
		User, Password, Architecture string
		Insecure                     bool
	}
	pullLine struct {
		Progress *registry.Progress `json:",omitempty"`
		Pulled   *Pulled            `json:",omitempty"`
		Failure  *failure           `json:",omitempty"`
	}
)

// pull answers with lines as it goes. A client that leaves breaks the pull off.
func (s *Server) pull(w http.ResponseWriter, r *http.Request) error {
	in, err := body[pullRequest](r)
	if err != nil {
		return err
	}
	ref, err := image.ParseReference(in.Ref)
	if err != nil {
		return &minicontainer.Invalid{Reason: err.Error()}
	}
	lines := json.NewEncoder(flushing{w, http.NewResponseController(w)})
	o := registry.Options{User: in.User, Password: in.Password, Architecture: in.Architecture, Insecure: in.Insecure}
	o.Report = func(p registry.Progress) { lines.Encode(pullLine{Progress: &p}) }
	got, err := s.engine.Pull(r.Context(), ref, o)
	if err != nil {
		_, f := describe(err)
		return lines.Encode(pullLine{Failure: &f})
	}
	return lines.Encode(pullLine{Pulled: &got})
}

// Pull has the daemon bring an image into its store.
func (c *Client) Pull(ctx context.Context, ref image.Reference, o registry.Options) (Pulled, error) {
	r, err := c.send(ctx, "POST", "/images/create", pullRequest{ref.String(), o.User, o.Password, o.Architecture, o.Insecure})
	if err != nil {
		return Pulled{}, err
	}
	defer r.Body.Close()
	for lines := json.NewDecoder(r.Body); ; {
		var line pullLine
		if err := lines.Decode(&line); err != nil {
			return Pulled{}, errors.Join(errors.New("the daemon broke off"), err)
		}
		switch {
		case line.Failure != nil:
			return Pulled{}, line.Failure.restore()
		case line.Pulled != nil:
			return *line.Pulled, nil
		case line.Progress != nil && o.Report != nil:
			o.Report(*line.Progress)
		}
	}
}
