package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"cutaway/unionfs/layertar"
)

// A Builder makes an image layer by layer, on top of another or of nothing.
// Given the same steps and times it makes the same image id.
//
//	b := store.NewBuilder(nil, time.Unix(0, 0))
//	b.AddFiles("ADD userland", []image.File{{Name: "bin/sh", Mode: 0o755, Data: sh}})
//	b.Empty("CMD [\"sh\"]", func(c *image.Config) { c.Cmd = []string{"sh"} })
//	img, err := b.Commit()
type Builder struct {
	store   *Store
	img     Image
	config  Config
	created time.Time
	parent  digest.Digest
	layers  []Layer  // registered here; needed by nothing until the image is stored
	busy    *os.File // while there are such layers, see busy.go
	err     error
}

// NewBuilder begins with base, nil for an empty image. created is the time of
// all steps; pass a fixed one for a reproducible id.
func (s *Store) NewBuilder(base *Image, created time.Time) *Builder {
	b := &Builder{store: s, created: created.UTC()}
	b.img.RootFS = &RootFS{Type: "layers"}
	if base == nil {
		return b
	}
	b.parent = base.ImageID
	b.img.V1 = base.V1
	b.img.OSVersion, b.img.OSFeatures = base.OSVersion, base.OSFeatures
	b.img.RootFS.DiffIDs = slices.Clone(base.RootFS.DiffIDs)
	b.img.History = slices.Clone(base.History)
	if base.Config != nil {
		b.config = *base.Config
	}
	return b
}

// Author sets who made the image.
func (b *Builder) Author(name string) { b.img.Author = name }

// Comment sets the image's comment.
func (b *Builder) Comment(text string) { b.img.Comment = text }

// Platform sets architecture and os, such as "amd64" and "linux".
func (b *Builder) Platform(architecture, os string) { b.img.Architecture, b.img.OS = architecture, os }

// Layer adds a layer from a tar, plain or gzip. createdBy is the history's text.
func (b *Builder) Layer(createdBy string, layer io.Reader) {
	if b.busy == nil && b.err == nil {
		b.busy, b.err = b.store.bringIn()
	}
	if b.err != nil {
		return
	}
	l, err := b.store.Register(layer, RegisterOptions{Parent: ChainID(b.img.RootFS.DiffIDs)})
	if err != nil {
		b.err = fmt.Errorf("step %q: %w", createdBy, err)
		return
	}
	b.layers = append(b.layers, l)
	b.img.RootFS.DiffIDs = append(b.img.RootFS.DiffIDs, l.DiffID)
	b.step(createdBy, false)
}

// Empty adds a step that changes only the configuration; change may be nil.
func (b *Builder) Empty(createdBy string, change func(*Config)) {
	if change != nil {
		change(&b.config)
	}
	b.step(createdBy, true)
}

func (b *Builder) step(createdBy string, empty bool) {
	b.img.History = append(b.img.History, History{
		Created: b.created, Author: b.img.Author, CreatedBy: createdBy, Comment: b.img.Comment, EmptyLayer: empty,
	})
}

// Commit stores the image and returns it. It has no name yet: see Store.Tag.
// After an error, also one of an earlier step, layers of the Builder that no
// image has are taken away again: call it in any case.
func (b *Builder) Commit() (*Image, error) {
	if b.busy != nil {
		defer b.busy.Close()
	}
	img, err := b.commit()
	if err != nil {
		return nil, errors.Join(err, b.store.dropLayers(b.layers))
	}
	return img, nil
}

func (b *Builder) commit() (*Image, error) {
	if b.err != nil {
		return nil, b.err
	}
	if b.img.Architecture == "" {
		b.img.Architecture, b.img.OS = runtime.GOARCH, "linux"
	}
	b.img.Created, b.img.Config = b.created, &b.config
	if err := b.img.Encode(); err != nil {
		return nil, err
	}
	if err := b.store.Put(&b.img); err != nil {
		return nil, err
	}
	if b.parent != "" {
		if err := b.store.SetParent(b.img.ImageID, b.parent); err != nil {
			return nil, err
		}
	}
	img := b.img
	return &img, nil
}

// A File is one entry of a layer that is made in memory.
type File struct {
	Name  string      // relative, such as "bin/sh"; folders above are made by themselves
	Mode  fs.FileMode // type and permission bits; ModeDir, ModeSymlink, or a regular file
	Data  []byte      // content of a regular file
	Link  string      // target of a symbolic link, or with HardLink the first name
	Owner [2]int      // uid and gid
	// HardLink makes Name a further name of the entry Link.
	HardLink bool
	// Delete makes Name a whiteout: the layers below lose it.
	Delete bool
}

// AddFiles adds a layer from files in memory.
func (b *Builder) AddFiles(createdBy string, files []File) {
	if b.err != nil {
		return
	}
	var buf bytes.Buffer
	if err := WriteFiles(&buf, files, b.created); err != nil {
		b.err = fmt.Errorf("step %q: %w", createdBy, err)
		return
	}
	b.Layer(createdBy, &buf)
}

// WriteFiles writes files as a layer tar, in the order given, folders above them
// as needed, all with the time mtime.
func WriteFiles(w io.Writer, files []File, mtime time.Time) error {
	tw := tar.NewWriter(w)
	made := map[string]bool{".": true}
	written := make(map[string]*tar.Header)
	for _, f := range files {
		name, err := layertar.CleanName(f.Name)
		if err != nil {
			return err
		}
		if err := writeAbove(tw, name, made, mtime); err != nil {
			return err
		}
		if f.Mode.IsDir() && made[name] {
			continue
		}
		made[name] = made[name] || f.Mode.IsDir()
		h, err := f.header(name, mtime)
		if err != nil {
			return err
		}
		if first := written[h.Linkname]; f.HardLink && first != nil {
			// A further name has the mode and owner of the first: Docker sets
			// what stands here on the file that both share.
			h.Mode, h.Uid, h.Gid = first.Mode, first.Uid, first.Gid
		}
		written[name] = h
		if err := tw.WriteHeader(h); err != nil {
			return fmt.Errorf("file %s: %w", name, err)
		}
		if _, err := tw.Write(f.Data[:h.Size]); err != nil {
			return fmt.Errorf("file %s: %w", name, err)
		}
	}
	return tw.Close()
}

// writeAbove writes the folders above name that were not written yet.
func writeAbove(tw *tar.Writer, name string, made map[string]bool, mtime time.Time) error {
	for i, c := range name {
		if c != '/' || made[name[:i]] {
			continue
		}
		made[name[:i]] = true
		h, _ := File{Mode: fs.ModeDir | 0o755}.header(name[:i], mtime)
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
	}
	return nil
}

func (f File) header(name string, mtime time.Time) (*tar.Header, error) {
	h := &tar.Header{
		Name: name, Uid: f.Owner[0], Gid: f.Owner[1], ModTime: mtime.Truncate(time.Second), Format: tar.FormatPAX,
		Mode: int64(f.Mode.Perm()), Typeflag: tar.TypeReg, Linkname: f.Link,
	}
	for bit, value := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if f.Mode&bit != 0 {
			h.Mode |= value
		}
	}
	switch {
	case f.Delete:
		dir, base := path.Split(name)
		h.Name, h.Mode = dir+layertar.WhiteoutPrefix+base, 0o444
	case f.HardLink:
		h.Typeflag = tar.TypeLink
	case f.Mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case f.Mode.Type() == fs.ModeSymlink:
		h.Typeflag, h.Mode = tar.TypeSymlink, 0o777
	case f.Mode.IsRegular():
		h.Size = int64(len(f.Data))
	default:
		return nil, errors.New("file " + name + ": a layer from memory takes files, folders and links")
	}
	return h, nil
}
