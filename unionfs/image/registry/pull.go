package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"

	"cutaway/unionfs/image"
)

// Pulled is what Pull brought.
type Pulled struct {
	Image    *image.Image
	Manifest digest.Digest // the digest that the registry knows it by
	Fetched  int           // layers that came over the wire
}

// Pull fetches an image by tag or digest and names it in the store. After an
// error the store has neither the image nor any of its new layers.
func Pull(ctx context.Context, s *image.Store, ref image.Reference, o Options) (Pulled, error) {
	o = o.withDefaults()
	p, err := pull(ctx, s, ref, o)
	if err != nil {
		return Pulled{}, explain("pull", ref, err)
	}
	return p, nil
}

func pull(ctx context.Context, s *image.Store, ref image.Reference, o Options) (p Pulled, err error) {
	rn, err := remoteName(ref, o)
	if err != nil {
		return p, err
	}
	desc, err := remote.Get(rn, remoteOptions(ctx, o)...)
	if err != nil {
		return p, err
	}
	// For an image of several platforms this is the index's digest, which is
	// what Docker notes too.
	p.Manifest = digest.Digest(desc.Digest.String())
	img, err := desc.Image()
	if err != nil {
		return p, err
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		return p, err
	}
	if err := checkConfig(img, raw); err != nil {
		return p, err
	}
	layers, err := img.Layers()
	if err != nil {
		return p, err
	}
	parsed, err := image.ParseImage(raw)
	if err != nil {
		return p, err
	}
	if len(layers) != len(parsed.RootFS.DiffIDs) {
		return p, fmt.Errorf("the manifest lists %d layers, the configuration %d", len(layers), len(parsed.RootFS.DiffIDs))
	}
	f := newFetch(ctx, s, parsed, layers, o)
	defer func() { err = errors.Join(err, f.close()) }()
	if p.Image, err = s.Assemble(raw, f.sources()); err != nil {
		return p, err
	}
	p.Fetched = f.fetched()
	f.finish()
	return p, nameIt(s, ref, p)
}

// checkConfig makes sure that the configuration is the one that the manifest
// names: its digest becomes the image id.
func checkConfig(img v1.Image, raw []byte) error {
	want, err := img.ConfigName()
	if err != nil {
		return err
	}
	if got := digest.FromBytes(raw); got.String() != want.String() {
		return fmt.Errorf("the configuration has the digest %s; the manifest says %s", got, want)
	}
	return nil
}

// nameIt notes the tag, and the digest beside it.
func nameIt(s *image.Store, ref image.Reference, p Pulled) error {
	if ref.Digest == "" {
		if err := s.Tag(ref, p.Image.ImageID); err != nil {
			return err
		}
	}
	byDigest := ref
	byDigest.Tag, byDigest.Digest = "", p.Manifest
	return s.Tag(byDigest, p.Image.ImageID)
}

// A fetch downloads the layers that are missing, some at a time, into files
// without names, while the store unpacks them in their order.
type fetch struct {
	ctx    context.Context
	cancel context.CancelFunc
	store  *image.Store
	o      Options
	jobs   []*job
}

type job struct {
	layer  v1.Layer
	digest digest.Digest
	here   bool // the store has the layer already
	done   chan struct{}
	file   *os.File
	err    error
}

func newFetch(ctx context.Context, s *image.Store, img *image.Image, layers []v1.Layer, o Options) *fetch {
	f := &fetch{store: s, o: o}
	f.ctx, f.cancel = context.WithCancel(ctx)
	turns := make(chan struct{}, o.Parallel)
	for i, chain := range image.ChainIDs(img.RootFS.DiffIDs) {
		j := &job{layer: layers[i], done: make(chan struct{})}
		f.jobs = append(f.jobs, j)
		h, err := layers[i].Digest()
		j.digest, j.err = digest.Digest(h.String()), err
		if _, err := s.Layer(chain); err == nil || j.err != nil {
			j.here = err == nil
			close(j.done)
			o.Report(Progress{Layer: j.digest, State: Exists})
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			j.err = err
		}
		o.Report(Progress{Layer: j.digest, State: Waiting})
		go f.run(j, turns)
	}
	return f
}

func (f *fetch) run(j *job, turns chan struct{}) {
	defer close(j.done)
	select {
	case turns <- struct{}{}:
		defer func() { <-turns }()
		j.err = errors.Join(j.err, f.download(j))
	case <-f.ctx.Done():
		j.err = f.ctx.Err()
	}
}

// download writes the compressed layer into a file. The module's reader fails at
// the end if size or digest are not the manifest's.
func (f *fetch) download(j *job) error {
	rc, err := j.layer.Compressed()
	if err != nil {
		return err
	}
	defer rc.Close()
	size, err := j.layer.Size()
	if err != nil {
		return err
	}
	if j.file, err = os.CreateTemp(filepath.Join(f.store.Root(), "tmp"), "pull-"); err != nil {
		return err
	}
	if err := os.Remove(j.file.Name()); err != nil {
		return err
	}
	m := &meter{r: rc, p: Progress{Layer: j.digest, State: Downloading, Total: size}, report: f.o.Report}
	if _, err := io.Copy(j.file, m); err != nil {
		return fmt.Errorf("layer %s: %w", j.digest, err)
	}
	f.o.Report(Progress{Layer: j.digest, State: Downloaded, Current: size, Total: size})
	_, err = j.file.Seek(0, io.SeekStart)
	return err
}

// sources give the store each layer when it asks for it.
func (f *fetch) sources() []image.Source {
	list := make([]image.Source, len(f.jobs))
	for i, j := range f.jobs {
		list[i] = func() (io.ReadCloser, error) {
			<-j.done
			if j.err != nil {
				return nil, j.err
			}
			if j.file == nil { // was here when the pull began, and was removed since
				return nil, fmt.Errorf("layer %s was removed while the pull ran; pull again", j.digest)
			}
			f.o.Report(Progress{Layer: j.digest, State: Extracting})
			return j.file, nil
		}
	}
	return list
}

func (f *fetch) fetched() int {
	n := 0
	for _, j := range f.jobs {
		if !j.here {
			n++
		}
	}
	return n
}

func (f *fetch) finish() {
	for _, j := range f.jobs {
		if !j.here {
			f.o.Report(Progress{Layer: j.digest, State: PullDone})
		}
	}
}

// close ends what still runs and lets the files go.
func (f *fetch) close() error {
	f.cancel()
	var errs []error
	for _, j := range f.jobs {
		<-j.done
		if j.file != nil {
			if err := j.file.Close(); !errors.Is(err, fs.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
