package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/pflag"

	"cutaway/internal/ground"
	"cutaway/minicontainer/builtin"
	"cutaway/minicontainer/storage"
	"cutaway/unionfs/driver"
	"cutaway/unionfs/image"
)

// stateFlags say which store of images and containers is meant.
func (p *program) stateFlags(flags *pflag.FlagSet) {
	flags.StringVar(&p.root, "root", envOr("CUTAWAY_ROOT", ground.StateRoot()), "folder of images, layers and containers")
	flags.StringVar(&p.storageDriver, "storage-driver", os.Getenv("CUTAWAY_STORAGE_DRIVER"),
		"storage driver: "+strings.Join(driver.Names(), ", ")+" (default: the one used before, else the best that works)")
	flags.StringArrayVar(&p.storageOpts, "storage-opt", nil, "storage driver options, such as zfs.fsname=POOL/DATASET or dm.basesize=10G")
}

// withStore opens the image store for one command.
func (p *program) withStore(do func(s *image.Store) error) (err error) {
	opts, err := storage.ParseOptions(p.storageOpts)
	if err != nil {
		return err
	}
	s, err := storage.Open(storage.Options{Root: p.root, Driver: p.storageDriver, Drivers: opts})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Driver.Close()) }()
	return do(s)
}

// findImage is what an image's name on the command line means: an image in the
// store, or a built-in one that is made when it is first asked for.
func findImage(s *image.Store, name string) (*image.Image, error) {
	img, err := builtin.Resolve(s, name)
	return img, noSuchImage(name, err)
}

// noSuchImage says that a name is unknown in Docker's words.
func noSuchImage(name string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if ref, parseErr := image.ParseReference(name); parseErr == nil {
		name = ref.Name() // with the tag that was looked for
	}
	return unknownImage(name)
}

// unknownImage is a name that stands for nothing here.
type unknownImage string

func (u unknownImage) Error() string { return "No such image: " + string(u) }

func (u unknownImage) Is(target error) bool { return target == fs.ErrNotExist }

// reference reads a name that is to be given to an image.
func reference(text string) (image.Reference, error) {
	ref, err := image.ParseReference(text)
	if err != nil {
		return ref, fmt.Errorf("invalid reference format: %w", err)
	}
	return ref, nil
}

// shortID is how ids are shown where --no-trunc is not given.
func shortID(id digest.Digest) string { return id.Encoded()[:min(12, len(id.Encoded()))] }
