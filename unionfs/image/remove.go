package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/opencontainers/go-digest"
)

// A Use is a container that was made from an image. Containers are not this
// package's knowledge, so the caller tells.
type Use struct {
	Container string // id
	Running   bool
}

// A Removal is one line of `docker rmi`: a name that was taken away, or an image
// or layer that was deleted.
type Removal struct {
	Untagged string
	Deleted  string
}

func (r Removal) String() string {
	if r.Untagged != "" {
		return "Untagged: " + r.Untagged
	}
	return "Deleted: " + r.Deleted
}

// ErrConflict is in the errors that say why an image cannot be removed.
var ErrConflict = errors.New("conflict")

// Remove takes an image's name away, and with its last name the image and the
// layers that nothing else needs. By id, it takes all names at once.
//
//	a name among several    only that name goes
//	the last name           the image goes too, unless a container uses it
//	an id with several      refused without force
//	used by a running one   refused, also with force
//	used by a stopped one   refused without force; with it only the names go
//	others are made from it refused by id; by name only the name goes
func (s *Store) Remove(name string, force bool, uses func(digest.Digest) ([]Use, error)) ([]Removal, error) {
	img, err := s.Resolve(name)
	if err != nil {
		return nil, err
	}
	names, err := s.Names(img.ImageID)
	if err != nil {
		return nil, err
	}
	users, err := uses(img.ImageID)
	if err != nil {
		return nil, err
	}
	if ref, ok := named(name, names); ok {
		return s.removeName(img, ref, names, users, force)
	}
	return s.removeID(img, names, users, force)
}

// named says whether the user wrote one of the image's names, not an id.
func named(name string, names []Reference) (Reference, bool) {
	ref, err := ParseReference(name)
	for _, n := range names {
		if err == nil && n == ref {
			return ref, true
		}
	}
	return Reference{}, false
}

func (s *Store) removeName(img *Image, ref Reference, names []Reference, users []Use, force bool) ([]Removal, error) {
	rest := others(names, ref)
	tags := 0
	for _, n := range rest {
		if n.Digest == "" || ref.Digest != "" {
			tags++
		}
	}
	if tags > 0 {
		return s.untag(ref)
	}
	if u, used := pick(users); used && !force {
		return nil, conflict("unable to remove repository reference %q (must force) - container %s is using its referenced image %s", ref.Name(), short(u.Container), short(img.ImageID.Encoded()))
	}
	list, err := s.untag(append([]Reference{ref}, rest...)...)
	if err != nil || len(users) > 0 {
		return list, err
	}
	children, err := s.Children(img.ImageID)
	if err != nil || len(children) > 0 {
		return list, err
	}
	deleted, err := s.delete(img)
	return append(list, deleted...), err
}

func (s *Store) removeID(img *Image, names []Reference, users []Use, force bool) ([]Removal, error) {
	id := short(img.ImageID.Encoded())
	for _, u := range users {
		if u.Running {
			return nil, conflict("unable to delete %s (cannot be forced) - image is being used by running container %s", id, short(u.Container))
		}
	}
	if u, used := pick(users); used && !force {
		return nil, conflict("unable to delete %s (must be forced) - image is being used by stopped container %s", id, short(u.Container))
	}
	if repositoriesOf(names) > 1 && !force {
		return nil, conflict("unable to delete %s (must be forced) - image is referenced in multiple repositories", id)
	}
	children, err := s.Children(img.ImageID)
	if err != nil {
		return nil, err
	}
	if len(children) > 0 {
		return nil, conflict("unable to delete %s (cannot be forced) - image has dependent child images", id)
	}
	list, err := s.untag(names...)
	if err != nil || len(users) > 0 {
		return list, err
	}
	deleted, err := s.delete(img)
	return append(list, deleted...), err
}

func conflict(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrConflict, fmt.Sprintf(format, args...))
}

// pick chooses the user to name: a running one says more.
func pick(users []Use) (Use, bool) {
	for _, u := range users {
		if u.Running {
			return u, true
		}
	}
	if len(users) == 0 {
		return Use{}, false
	}
	return users[0], true
}

func others(names []Reference, ref Reference) []Reference {
	var rest []Reference
	for _, n := range names {
		if n != ref {
			rest = append(rest, n)
		}
	}
	return rest
}

func repositoriesOf(names []Reference) int {
	repos := make(map[string]bool)
	for _, n := range names {
		repos[n.Repository()] = true
	}
	return len(repos)
}

func short(id string) string { return id[:min(12, len(id))] }

func (s *Store) untag(refs ...Reference) ([]Removal, error) {
	var list []Removal
	for _, ref := range refs {
		if err := s.Untag(ref); err != nil {
			return list, err
		}
		list = append(list, Removal{Untagged: ref.Name()})
	}
	return list, nil
}

// delete removes the configuration first: an image whose layers are partly gone
// would be worse than layers without an image. Then its layers, and nameless
// images that it alone was made from.
func (s *Store) delete(img *Image) ([]Removal, error) {
	parent, err := s.Parent(img.ImageID)
	if err != nil {
		return nil, err
	}
	if err := s.drop(img.ImageID); err != nil {
		return nil, err
	}
	list := []Removal{{Deleted: img.ImageID.String()}}
	for i := len(img.RootFS.DiffIDs); i > 0; i-- {
		l, err := s.Layer(ChainID(img.RootFS.DiffIDs[:i]))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return list, err
		}
		gone, err := s.releaseLayer(l)
		if err != nil {
			return list, err
		}
		if gone {
			list = append(list, Removal{Deleted: l.ChainID.String()})
		}
	}
	more, err := s.deleteParent(parent)
	return append(list, more...), err
}

// deleteParent removes the image that a deleted one was made from, if it has no
// name, no other child and no container.
func (s *Store) deleteParent(id digest.Digest) ([]Removal, error) {
	if id == "" {
		return nil, nil
	}
	img, err := s.Get(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, nerr := s.Names(id)
	children, cerr := s.Children(id)
	roots, rerr := s.Roots()
	if err := errors.Join(nerr, cerr, rerr); err != nil || len(names) > 0 || len(children) > 0 {
		return nil, err
	}
	for _, r := range roots {
		if r.Parent == img.ChainID() {
			return nil, nil
		}
	}
	return s.delete(img)
}

// releaseLayer removes a layer unless an image, another layer or a container
// stands on it. It says whether it did.
func (s *Store) releaseLayer(l Layer) (gone bool, err error) {
	err = s.locked(func() error {
		needed, err := s.needed(l.ChainID)
		if err != nil || needed {
			return err
		}
		gone = true
		return s.removeLayer(l)
	})
	return gone, err
}

func (s *Store) needed(chain digest.Digest) (bool, error) {
	images, err := s.All()
	if err != nil {
		return false, err
	}
	for _, img := range images {
		for _, c := range ChainIDs(img.RootFS.DiffIDs) {
			if c == chain {
				return true, nil
			}
		}
	}
	layers, err := s.Layers()
	if err != nil {
		return false, err
	}
	for _, l := range layers {
		if l.Parent == chain {
			return true, nil
		}
	}
	roots, err := s.Roots()
	for _, r := range roots {
		if r.Parent == chain {
			return true, nil
		}
	}
	return false, err
}

// removeLayer goes the way of Register backwards: renamed to a write-set, the
// layer is unfinished work that recover would take back if we die here.
func (s *Store) removeLayer(l Layer) error {
	dir := s.path("layerdb/tmp", "write-set-"+l.CacheID)
	if err := os.Rename(s.layerDir(l.ChainID), dir); err != nil {
		return err
	}
	if err := s.Driver.Remove(l.CacheID); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
