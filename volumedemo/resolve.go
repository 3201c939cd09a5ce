package volumedemo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Resolve finds or makes the source of every mount of a container: volumes in
// the store, and for -v the host's folder where it is missing (mkdir(2)). What it
// makes anew is unmade in reverse if a later one cannot be had.
//
// The caller holds the store (Hold) until the points are on disk.
func (s *Store) Resolve(r Request) (points []Point, err error) {
	m, err := Merge(r)
	if err != nil {
		return nil, err
	}
	var undo []func() error
	defer func() {
		for i := len(undo) - 1; err != nil && i >= 0; i-- {
			err = errors.Join(err, undo[i]())
		}
	}()
	points = append(points, m.Inherited...)
	for _, spec := range m.Specs {
		p, unmake, err := s.source(spec)
		if err != nil {
			return nil, err
		}
		undo = append(undo, unmake)
		points = append(points, p)
	}
	return points, nil
}

func nothing() error { return nil }

func (s *Store) source(spec Spec) (Point, func() error, error) {
	p := Point{
		Type: spec.Type, Source: spec.Source, Destination: spec.Target, Mode: spec.Mode, RW: !spec.ReadOnly,
		Bind: spec.Bind, Volume: spec.Volume, Tmpfs: spec.Tmpfs,
	}
	switch spec.Type {
	case Bind:
		p.Propagation = spec.Bind.Propagation
		if p.Propagation == "" {
			p.Propagation = "rprivate"
		}
		unmake, err := bindSource(spec)
		return p, unmake, err
	case Volume:
		return s.volumeSource(p)
	}
	return p, nothing, nil
}

// bindSource is where -v and --mount differ. A folder made in haste under a
// mistyped name looks as if all went well, with an empty folder where the data
// should be; so the newer form refuses.
func bindSource(spec Spec) (func() error, error) {
	_, err := os.Lstat(spec.Source)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return nothing, err
	}
	if !spec.Bind.CreateMissing {
		return nil, config(spec, "bind source path does not exist: %s: make it first, or use -v, which makes a folder", spec.Source)
	}
	first := firstMissing(spec.Source)
	if err := os.MkdirAll(spec.Source, 0o755); err != nil {
		return nil, fmt.Errorf("make the missing bind source: %w", err)
	}
	return func() error { return removeChain(spec.Source, first) }, nil
}

// firstMissing is the topmost folder of a path that does not exist.
func firstMissing(path string) string {
	for {
		up := filepath.Dir(path)
		if _, err := os.Lstat(up); err == nil || up == path {
			return path
		}
		path = up
	}
}

// removeChain removes empty folders from path up to and with first (rmdir(2)).
func removeChain(path, first string) error {
	for {
		if err := os.Remove(path); err != nil {
			return err
		}
		if path == first {
			return nil
		}
		path = filepath.Dir(path)
	}
}

func (s *Store) volumeSource(p Point) (Point, func() error, error) {
	p.Name = p.Source
	existed := p.Name != "" && isFolder(s.Data(p.Name))
	info, err := s.Create(CreateOptions{Name: p.Name, Driver: p.Volume.Driver, Labels: p.Volume.Labels, Opts: p.Volume.DriverOpts})
	if err != nil {
		return p, nil, err
	}
	p.Name, p.Source, p.Driver = info.Name, info.Mountpoint, info.Driver
	unmake := nothing
	if !existed {
		unmake = func() error { return os.RemoveAll(filepath.Join(s.Dir, p.Name)) }
	}
	if p.Volume.Subpath != "" {
		p.Source, err = subpath(info.Mountpoint, p.Volume.Subpath)
	}
	return p, unmake, err
}

// subpath finds a folder in a volume whose symlinks lead anywhere: it is opened
// below the volume (openat2(2), RESOLVE_IN_ROOT), and its real path asked of the
// kernel, which has no symlinks in it any more.
func subpath(data, sub string) (string, error) {
	f, err := openIn(data, sub)
	if err != nil {
		return "", fmt.Errorf("volume-subpath %s: %w", sub, err)
	}
	defer f.Close()
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}
