package builtin

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/opencontainers/go-digest"

	"cutaway/unionfs/image"
)

// Names lists the images that are made here, without tags.
func Names() []string { return []string{"box", "web", "stress"} }

// Is tells whether what a user typed is one of them: "box" or "box:latest".
func Is(name string) bool {
	_, ok := builtinName(name)
	return ok
}

func builtinName(typed string) (string, bool) {
	ref, err := image.ParseReference(typed)
	if err != nil || ref.Digest != "" || ref.Tag != "latest" {
		return "", false
	}
	for _, name := range Names() {
		if ref.Repository() == name {
			return name, true
		}
	}
	return "", false
}

// Resolve is Store.Resolve, but makes a built-in image that the store lacks.
func Resolve(s *image.Store, typed string) (*image.Image, error) {
	img, err := s.Resolve(typed)
	name, ok := builtinName(typed)
	if !ok || !errors.Is(err, fs.ErrNotExist) {
		return img, err
	}
	return Ensure(s, name)
}

// Ensure makes sure that the built-in image of that name is in the store and is
// made of what the machine has now, and returns it. An image that the user has
// given the name to is left alone, and returned.
func Ensure(s *image.Store, name string) (*image.Image, error) {
	return EnsureFrom(s, name, Find())
}

// EnsureFrom is Ensure with other programs than the machine's own.
func EnsureFrom(s *image.Store, name string, from Sources) (*image.Image, error) {
	ref, err := image.ParseReference(name)
	if err != nil {
		return nil, err
	}
	now, err := key(from.needs(name))
	if err != nil {
		return nil, fmt.Errorf("built-in image %s: %w", name, err)
	}
	made := readNotes(s).Images[name]
	img, err := s.Resolve(ref.Name())
	switch {
	case err == nil && (img.ImageID != made.ID || made.Key == now):
		return img, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if img, err = build(s, name, from); err != nil {
		return nil, fmt.Errorf("built-in image %s: %w", name, err)
	}
	if err := s.Tag(ref, img.ImageID); err != nil {
		return nil, err
	}
	return img, writeNote(s, name, note{Key: now, ID: img.ImageID})
}

func build(s *image.Store, name string, from Sources) (*image.Image, error) {
	if err := from.check(name); err != nil {
		return nil, err
	}
	if name == "box" {
		return makeBox(s, from)
	}
	// From its own parts and not from what may be named box by now.
	box, err := makeBox(s, from)
	if err != nil {
		return nil, err
	}
	var img *image.Image
	switch name {
	case "web":
		img, err = makeWeb(s, box)
	case "stress":
		img, err = makeStress(s, box, from)
	default:
		err = fmt.Errorf("want one of %v", Names())
	}
	if err != nil {
		return nil, errors.Join(err, dropNameless(s, box))
	}
	return img, nil
}

// dropNameless takes an image away that was made only to stand under another.
func dropNameless(s *image.Store, img *image.Image) error {
	names, err := s.Names(img.ImageID)
	if err != nil || len(names) > 0 {
		return err
	}
	_, err = s.Remove(img.ImageID.String(), false, func(digest.Digest) ([]image.Use, error) { return nil, nil })
	if errors.Is(err, image.ErrConflict) { // another image stands on it
		return nil
	}
	return err
}
