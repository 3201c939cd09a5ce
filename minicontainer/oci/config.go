package oci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"cutaway/minicontainer/oci/seccomp"
)

// Bundle is a folder with a config.json, as the runtime specification has it.
type Bundle struct {
	Dir  string // absolute
	Spec *specs.Spec
	Raw  []byte // config.json as it was read: what the container was made from

	filter *seccomp.Filter
}

// LoadBundle reads and checks dir/config.json.
func LoadBundle(dir string) (*Bundle, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("JSON specification file %s/config.json not found: %w", dir, err)
	}
	if err != nil {
		return nil, err
	}
	spec, err := ParseSpec(raw)
	if err != nil {
		return nil, err
	}
	return newBundle(dir, spec, raw)
}

// WriteBundle makes a bundle of a folder: it checks the specification and writes
// it to dir/config.json. It gives what LoadBundle would, without reading it back.
func WriteBundle(dir string, spec *specs.Spec) (*Bundle, error) {
	raw, err := FormatSpec(spec)
	if err != nil {
		return nil, err
	}
	b, err := newBundle(dir, spec, raw)
	if err != nil {
		return nil, err
	}
	return b, os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o600)
}

func newBundle(dir string, spec *specs.Spec, raw []byte) (*Bundle, error) {
	filter, err := check(spec, dir)
	if err != nil {
		return nil, err
	}
	return &Bundle{dir, spec, raw, filter}, nil
}

func (o *Options) loaded() (*Bundle, error) {
	if o.Loaded != nil {
		return o.Loaded, nil
	}
	return LoadBundle(o.Bundle)
}

// RootPath is the root file system's folder: relative paths start at the bundle.
func (b *Bundle) RootPath() string {
	if filepath.IsAbs(b.Spec.Root.Path) {
		return filepath.Clean(b.Spec.Root.Path)
	}
	return filepath.Join(b.Dir, b.Spec.Root.Path)
}
